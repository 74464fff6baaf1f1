# Sourced by scripts that need QuestDB servers: how to make, start and ask one. JAR is its program.

# free_ports COUNT FROM: so many ports of the loopback that nobody listens on.
free_ports() {
    local port=$2 found=0
    while [ "$found" -lt "$1" ]; do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            found=$((found + 1))
        fi
        port=$((port + 1))
    done
}

# make_server ROOT FROM: an empty server that listens on three ports from this one on. Further
# settings on standard input; of settings that are there twice the last one counts.
make_server() {
    local root=$1 ports
    mkdir -p "$root/conf" "$root/db"
    mapfile -t ports < <(free_ports 3 "$2")
    printf '%s\n' "${ports[@]}" >"$root/ports"
    {
        cat <<SETTINGS
http.min.enabled=false
line.udp.enabled=false
telemetry.disable.completely=true
shared.network.worker.count=1
shared.query.worker.count=1
shared.write.worker.count=1
SETTINGS
        cat
        cat <<SETTINGS
http.bind.to=127.0.0.1:${ports[0]}
pg.net.bind.to=127.0.0.1:${ports[1]}
line.tcp.net.bind.to=127.0.0.1:${ports[2]}
SETTINGS
    } >"$root/conf/server.conf"
}

# port ROOT http|pg|line
port() {
    local -A place=([http]=1 [pg]=2 [line]=3)
    sed -n "${place[$2]}p" "$1/ports"
}

start_server() {
    local root=$1 deadline=$((SECONDS + 120))
    (cd "$root" && exec nohup java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -p "$JAR" -m io.questdb/io.questdb.ServerMain -d "$root" >>"$root/server.log" 2>&1 </dev/null) &
    echo $! >"$root/server.pid"
    while [ "$SECONDS" -lt "$deadline" ]; do
        ask "$root" 'SELECT 1' >/dev/null 2>&1 && return
        kill -0 "$(cat "$root/server.pid")" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$root/server.log" >&2
    return 1
}

stop_server() {
    local pid
    pid=$(cat "$1/server.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$1/server.pid"
}

# ask ROOT SQL: the bare answer, one line per row.
ask() {
    curl -sfG -m 120 "http://127.0.0.1:$(port "$1" http)/exp" --data-urlencode "query=$2" |
        tail -n +2 | tr -d '\r"'
}

# tell ROOT SQL: a statement that answers no rows.
tell() {
    local answer
    answer=$(curl -sG -m 120 "http://127.0.0.1:$(port "$1" http)/exec" --data-urlencode "query=$2")
    grep -q '"error"' <<<"$answer" && echo "$2: $answer" >&2 && return 1
    return 0
}

# write_lines ROOT: rows in the line protocol on standard input, as one commit per table.
write_lines() {
    curl -sf -m 120 --data-binary @- "http://127.0.0.1:$(port "$1" http)/write?precision=n"
}
