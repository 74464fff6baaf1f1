# Sourced by scripts/demo: a primary and a live replica of QuestDB.

# shellcheck source=scripts/lib/questdb.sh
source "$here/scripts/lib/questdb.sh"
primary=$place/primary replica=$place/replica view=$place/view
VERSION=9.3.4
secret=$place/secret

requirements() {
    "$here/scripts/require" gcc libc6-dev curl
    "$here/scripts/questdb-binaries" "$VERSION"
}

prepare() {
    JAR=$here/target/questdb/$VERSION.jar
}

introduce() {
    echo "QuestDB $VERSION on $(java -version 2>&1 | sed -n '1s/"//gp')"
}

mounts() {
    printf '%s\n' "$view" "$primary/db"
}

stop_servers() {
    stop_server "$replica"
    stop_server "$primary"
}

begin_primary() {
    "$walfs" config questdb --role primary | make_server "$primary" 9100
    mount_quietly "$url" "$primary/db" -o primary,layout=questdb,interval=0,node=primary
    start_server "$primary"
    printf '  primary    has its whole database on a walfs mount\n'
    tell "$primary" "CREATE TABLE trades (symbol SYMBOL, side SYMBOL, price DOUBLE, amount LONG,
        timestamp TIMESTAMP) TIMESTAMP(timestamp) PARTITION BY HOUR WAL"
    tell "$primary" "CREATE MATERIALIZED VIEW candles AS (SELECT timestamp, symbol, min(price) low,
        max(price) high, sum(amount) volume FROM trades SAMPLE BY 1s) PARTITION BY DAY"
}

begin_replica() {
    (umask 077 && head -c 18 /dev/urandom | base64 >"$secret")
    {
        "$walfs" config questdb --role replica
        printf 'pg.user=walfs\npg.password=%s\n' "$(cat "$secret")"
        printf 'pg.readonly.user=reader\npg.readonly.password=reader\n'
    } | make_server "$replica" 9200
    start_server "$replica"
    mkdir "$view"
    mount_quietly "$url" "$view" -o \
        "replica,node=replica,cache=$place/cache,database=$replica/db,questdb=127.0.0.1:$(port "$replica" pg),questdb_user=walfs,questdb_password_file=$secret"
    printf '  replica    applies it live; it has no connection to the primary\n\n'
}

# Batches of trades, and every two seconds a table that was not there before.
load() {
    local round=0 begin=$SECONDS
    while [ $((SECONDS - begin)) -lt "$seconds" ]; do
        round=$((round + 1))
        awk -v round="$round" 'BEGIN {
            srand(round)
            for (n = 0; n < 1000; n++)
                printf "trades,symbol=%s,side=%s price=%.2f,amount=%di\n", \
                    substr("BTCETHSOLADAXRP", 3 * int(5 * rand()) + 1, 3), \
                    rand() < 0.5 ? "buy" : "sell", 100 + 10 * rand(), 1000 * rand()
        }' | write_lines "$primary"
        if [ $((SECONDS % 2)) = 0 ]; then
            echo "sensor_$SECONDS value=$round" | write_lines "$primary"
        fi
    done
}

headings() {
    headline 'after' 'rows primary' 'rows replica' 'lag' 'tables' 'backlog'
}

# one_line SECOND: both sides asked at the same moment. Rows get their time when they are taken.
one_line() {
    local rows shown newest seen tables lag
    local question="SELECT count(), coalesce(max(timestamp)::long, 0) FROM trades"
    ask "$primary" "$question" >"$place/sent" &
    ask "$replica" "$question" >"$place/applied" || true
    wait $! || true
    IFS=, read -r rows newest <"$place/sent" || true
    IFS=, read -r shown seen <"$place/applied" || true
    tables="$(tables "$replica")/$(tables "$primary")"
    lag=$(((${newest:-0} - ${seen:-0}) / 1000))
    headline "$1 s" "$(grouped "${rows:-0}")" "$(grouped "${shown:-0}")" \
        "$((lag > 0 ? lag : 0)) ms" "$tables" "$(readable "$(backlog "$primary/db" || true)")"
}

tables() {
    ask "$1" "SELECT count() FROM tables() WHERE walEnabled" || true
}

# How far a server is with each table.
progress() {
    ask "$1" "SELECT name, writerTxn FROM wal_tables() WHERE NOT suspended ORDER BY name"
}

# The primary has applied all that it took, and then the replica has the same.
settle() {
    local waiting="SELECT count() FROM wal_tables() WHERE writerTxn < sequencerTxn"
    local views="SELECT count() FROM materialized_views()
        WHERE view_status = 'refreshing' OR refresh_base_table_txn < base_table_txn"
    for _ in $(seq 600); do
        [ "$(ask "$primary" "$waiting")$(ask "$primary" "$views")" = 00 ] &&
            [ "$(progress "$primary")" = "$(progress "$replica")" ] && break
        sleep 0.1
    done
}

rate() {
    local rows
    rows=$(ask "$primary" "SELECT count() FROM trades")
    echo "$(grouped $((rows / seconds))) rows per second, $(tables "$primary") tables"
}

# fingerprint primary|replica: each table with its columns and the checksum of its rows.
fingerprint() {
    local table root=$primary
    [ "$1" = primary ] || root=$replica
    ask "$root" "SELECT table_name FROM tables() WHERE walEnabled ORDER BY 1" |
        while read -r table; do
            echo "$table $(ask "$root" "SELECT \"column\", type FROM (SHOW COLUMNS FROM $table)" | tr '\n' ' ')"
            ask "$root" "SELECT * FROM $table" | sort | cksum
        done
}

how_to_reach() {
    printf '  primary    http://127.0.0.1:%s\n' "$(port "$primary" http)"
    printf '  replica    http://127.0.0.1:%s\n' "$(port "$replica" http)"
    printf '  status     %s status %s\n' "$walfs" "$view"
}
