# Sourced by scripts that need PostgreSQL servers: how to make, start and ask one.

# The newest server on this machine.
postgres_programs() {
    find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1
}

# Servers refuse to be root.
as_postgres() {
    (cd / && runuser -u postgres -- "$@")
}

# make_cluster ROOT [INITDB OPTION…]: data in ROOT/data, the socket in ROOT, no TCP.
make_cluster() {
    local root=$1
    shift
    install -d -o postgres -g postgres -m 755 "$root"
    as_postgres "$PROGRAMS/initdb" -D "$root/data" -U postgres -A trust -E UTF8 --locale C \
        --no-sync "$@" >"$root/initdb.log"
    configure "$root" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$root'
shared_buffers = 128MB
SETTINGS
}

# make_standby PRIMARY ROOT: a base backup without WAL that follows its own pg_wal.
make_standby() {
    local primary=$1 root=$2
    install -d -o postgres -g postgres -m 755 "$root"
    as_postgres "$PROGRAMS/pg_basebackup" -h "$primary" -U postgres -D "$root/data" -X none \
        -c fast --no-sync 2>"$root/basebackup.log" || { cat "$root/basebackup.log" >&2; return 1; }
    as_postgres touch "$root/data/standby.signal"
    configure "$root" <<SETTINGS
unix_socket_directories = '$root'
hot_standby = on
wal_retrieve_retry_interval = '5ms'
log_min_messages = fatal
SETTINGS
}

# configure ROOT: settings on standard input, for the next start.
configure() {
    cat >>"$1/data/postgresql.conf"
}

start_server() {
    as_postgres "$PROGRAMS/pg_ctl" -D "$1/data" -l "$1/server.log" -w -s start ||
        { tail -n 20 "$1/server.log" >&2; return 1; }
}

stop_server() {
    if [ -e "$1/data/postmaster.pid" ]; then
        as_postgres "$PROGRAMS/pg_ctl" -D "$1/data" -m fast -w -s stop
    fi
}

# ask ROOT SQL: the bare answer.
ask() {
    as_postgres "$PROGRAMS/psql" -X -q -At -v ON_ERROR_STOP=1 -h "$1" -U postgres -d postgres -c "$2"
}
