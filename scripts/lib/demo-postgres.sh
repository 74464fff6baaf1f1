# Sourced by scripts/demo: a primary and a standby of PostgreSQL.

# shellcheck source=scripts/lib/postgres.sh
source "$here/scripts/lib/postgres.sh"
primary=$place/primary standby=$place/standby

requirements() {
    "$here/scripts/require" postgresql postgresql-client gcc libc6-dev
}

prepare() {
    PROGRAMS=$(postgres_programs)
}

introduce() {
    "$PROGRAMS/postgres" --version
}

mounts() {
    printf '%s\n' "$standby/data/pg_wal" "$primary/data/pg_wal"
}

stop_servers() {
    stop_server "$standby" || true
    stop_server "$primary"
}

begin_primary() {
    make_cluster "$primary"
    mount_quietly "$url" "$primary/data/pg_wal" -o primary,layout=postgres,interval=0,node=primary
    start_server "$primary"
    printf '  primary    writes its WAL into a walfs mount\n'
    as_postgres "$PROGRAMS/pgbench" -h "$primary" -U postgres -i -q -s 2 postgres 2>/dev/null
}

begin_replica() {
    make_standby "$primary" "$standby"
    mount_quietly "$url" "$standby/data/pg_wal" -o replica,node=standby
    start_server "$standby"
    printf '  standby    reads it from another mount; it has no connection to the primary\n\n'
}

load() {
    as_postgres "$PROGRAMS/pgbench" -h "$primary" -U postgres -n -N -c 4 -j 1 -T "$seconds" postgres \
        >"$place/pgbench.log" 2>&1
}

headings() {
    headline 'after' 'rows primary' 'rows standby' 'lag' 'lag' 'backlog'
}

# one_line SECOND: both sides asked at the same moment.
one_line() {
    local rows shown bytes lag flushed replayed
    ask "$primary" "SELECT count(*) || '|' || pg_current_wal_flush_lsn() - '0/0' FROM pgbench_history" \
        >"$place/sent" &
    ask "$standby" "SELECT count(*) || '|' || pg_last_wal_replay_lsn() - '0/0' || '|' ||
        greatest(0, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::int
        FROM pgbench_history" >"$place/applied"
    wait $!
    IFS='|' read -r rows flushed <"$place/sent"
    IFS='|' read -r shown replayed lag <"$place/applied"
    bytes=$((flushed > replayed ? flushed - replayed : 0))
    headline "$1 s" "$(grouped "$rows")" "$(grouped "$shown")" "$lag ms" "$(readable "$bytes")" \
        "$(readable "$(backlog "$primary/data/pg_wal" || true)")"
}

# A mark, and the wait until it arrives: from then on both have seen the same.
settle() {
    ask "$primary" "CREATE TABLE finished ()"
    for _ in $(seq 300); do
        [ "$(ask "$standby" "SELECT count(*) FROM pg_class WHERE relname = 'finished'")" = 1 ] && break
        sleep 0.1
    done
}

rate() {
    sed -n 's/^tps = \([0-9]*\).*/\1 transactions per second/p' "$place/pgbench.log"
}

# fingerprint primary|replica: each table with the number and the checksum of its rows.
fingerprint() {
    local table root=$primary
    [ "$1" = primary ] || root=$standby
    for table in $(ask "$root" "SELECT relname FROM pg_stat_user_tables ORDER BY 1"); do
        echo "$table $(ask "$root" "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY
            md5(t::text))) FROM $table t")"
    done
}

how_to_reach() {
    printf '  primary    psql -h %s -U postgres\n' "$primary"
    printf '  standby    psql -h %s -U postgres\n' "$standby"
    printf '  status     %s status %s\n' "$walfs" "$standby/data/pg_wal"
}
