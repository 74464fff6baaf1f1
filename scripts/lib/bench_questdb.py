"""The rows of scripts/bench for QuestDB: its database on walfs against a native run."""
import statistics
import threading
import time

from measure import per_minute, percentile, worker
from questdb import Session, applied, cpu_seconds, sequenced, status

TABLE = ("(tag SYMBOL, n LONG, price DOUBLE, timestamp TIMESTAMP) TIMESTAMP(timestamp) "
         "PARTITION BY HOUR WAL")
# The server takes a page of 16 MiB for each column that it writes: 64 GB for a thousand tables.
SMALL_PAGES = "cairo.writer.data.append.page.size=65536"
# Sent again and again; the server gives each row its time.
BLOCK_ROWS = 2000


def block(table):
    return "".join(
        f"{table},tag=tag{row % 50} n={row}i,price={row}.25\n" for row in range(BLOCK_ROWS)
    ).encode()


def ingest(place, quick):
    """Rows over the line protocol, until the last one is visible; the ratio of each pair."""
    rows, pairs = (200_000, 1) if quick else (6_000_000, 4)
    found = []
    for mode in ("nosync",) if quick else ("nosync", "sync"):
        for connections in (1, 4):
            native, walfs = [], []
            for pair in range(pairs):
                for turn in (False, True) if pair % 2 == 0 else (True, False):
                    name = f"ingest-{mode}-{connections}-{pair}-{turn}"
                    rate = one_ingest(place, name, connections, rows, turn, mode)
                    (walfs if turn else native).append(rate)
            ratios = [ours / theirs for ours, theirs in zip(walfs, native)]
            found.append({
                "case": f"{connections} connections, {mode}",
                "native_rows_s": round(statistics.median(native)),
                "walfs_rows_s": round(statistics.median(walfs)),
                "ratio": round(statistics.median(ratios), 3),
                "ratios": [round(ratio, 3) for ratio in ratios],
            })
    return found


def one_ingest(place, name, connections, rows, walfs, mode):
    server = place.primary(name, "interval=100ms", settings=f"cairo.commit.mode={mode}", walfs=walfs)
    session = Session(server)
    send(server, session, "warm", 1, 20 * BLOCK_ROWS)
    begin = time.perf_counter()
    send(server, session, "rows", connections, rows)
    took = time.perf_counter() - begin
    if walfs:
        place.memory("primary", server.database)
    place.end(server)
    return rows / took


def send(server, session, table, connections, rows):
    session.ask(f"CREATE TABLE {table} {TABLE}")
    lines, blocks = block(table), rows // BLOCK_ROWS // connections

    def one():
        with server.connect() as stream:
            for _ in range(blocks):
                stream.sendall(lines)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(session, f"SELECT count() FROM {table}", blocks * BLOCK_ROWS * connections)


def until(session, question, wanted, pause=0.005, patience=600):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if (session.ask(question) or 0) >= wanted:
                return
        except RuntimeError:
            pass  # The table is not there yet.
        time.sleep(pause)
    raise RuntimeError(f"{question}: not {wanted} after {patience} s")


def lag(place, quick):
    """From the primary's answer to rows until the replica shows them."""
    found = []
    for interval in ("0", "100ms", "1s"):
        for tables in (1, 100) if quick else (1, 100, 1000):
            volume = f"lag-{interval}-{tables}"
            primary = place.primary(f"{volume}-p", f"interval={interval}", volume, SMALL_PAGES)
            replica = place.replica(f"{volume}-r", volume, settings=SMALL_PAGES)
            session = Session(primary)
            for table in range(tables):
                session.ask(f"CREATE TABLE t{table} {TABLE}")
            until(Session(replica), "SELECT count() FROM tables() WHERE walEnabled", tables, 0.1)
            for written in sorted({1, min(tables, 100)}):
                probes = (200 if written == 1 else 40) // (4 if quick or interval == "1s" else 1)
                waits = probe(primary, replica, written, probes)
                found.append({
                    "case": f"interval={interval}, {written} of {tables} tables",
                    "p50_ms": percentile(waits, 50), "p99_ms": percentile(waits, 99),
                    "max_ms": percentile(waits, 100),
                })
            place.memory("primary", primary.database)
            place.memory("replica", replica.view)
            place.end(replica)
            place.end(primary)
    return found


def probe(primary, replica, written, count):
    """Rows go into so many tables at once; how long until one of them, each time another, shows
    them. The server is asked once, when its files say that it is done: asking all the time is work
    that it lacks elsewhere. Not all of a thousand: it would run out of descriptors."""
    source, target, waits = Session(primary), Session(replica), []
    for turn in range(-3, count):
        chosen = turn % written
        row = target.ask(f"SELECT count() FROM t{chosen}") + 1
        source.write("".join(f"t{table} n={turn}i\n" for table in range(written)))
        begin = time.perf_counter()
        follow(primary, replica, f"t{chosen}", 0.0005)
        until(target, f"SELECT count() FROM t{chosen}", row, 0.001, 60)
        if turn >= 0:  # The first ones find everything cold.
            waits.append((time.perf_counter() - begin) * 1000)
        for table in range(written):
            follow(primary, replica, f"t{table}", 0.005)
        # Not in step with anybody's clock.
        time.sleep(0.02 + (turn * 7919 % 41) / 1000)
    return waits


def follow(primary, replica, table, pause, patience=60):
    """Waits until the replica's server has applied what the primary's has of a table now."""
    committed, end = sequenced(primary.database, table), time.monotonic() + patience
    while applied(replica.database, table) < committed:
        if time.monotonic() > end:
            raise RuntimeError(f"{table}: commit {committed} is not there after {patience} s")
        time.sleep(pause)


def catchup(place, quick):
    """An empty replica takes in the whole volume from the store."""
    rows = 400_000 if quick else 4_000_000
    primary = place.primary("catchup-p", "interval=100ms", "catchup")
    session = Session(primary)
    begin = time.perf_counter()
    send(primary, session, "rows", 2, rows)
    local = time.perf_counter() - begin
    while status(primary.database).get("backlog_bytes"):
        time.sleep(0.1)
    waits = []
    for turn in range(1 if quick else 3):
        begin = time.perf_counter()
        replica = place.replica(f"catchup-{turn}", "catchup")
        started = time.perf_counter()
        until(Session(replica), "SELECT count() FROM rows", rows, 0.05)
        waits.append(time.perf_counter() - started)
        place.memory("replica", replica.view)
        place.end(replica)
        ready = started - begin
    place.end(primary)
    return [{
        "case": f"{rows} rows", "replica_rows_s": round(rows / statistics.median(waits)),
        "primary_rows_s": round(rows / local), "server_start_s": round(ready, 1),
    }]


def requests(place, quick):
    """What the store is asked and what walfs computes, nobody writing and under a steady load."""
    seconds = 15 if quick else 60
    found = []
    for tables in (1, 100):
        volume = f"requests-{tables}"
        primary = place.primary(f"{volume}-p", "interval=1s", volume)
        replica = place.replica(f"{volume}-r", volume)
        session = Session(primary)
        for table in range(tables):
            session.ask(f"CREATE TABLE t{table} {TABLE}")
        until(Session(replica), "SELECT count() FROM tables() WHERE walEnabled", tables, 0.1)
        nodes = [("primary", primary.database), ("replica", replica.view)]
        for title, load in [("20 rows/s", True), ("idle", False)]:
            if not load:
                time.sleep(25)  # Until writers are let go, and the polling has slowed down.
            before = [(status(node), cpu_seconds(worker(status(node)))) for _, node in nodes]
            end = time.monotonic() + seconds
            turn = 0
            while time.monotonic() < end:
                if load:
                    session.write(f"t{turn % tables} n={turn}i\n")
                    turn += 1
                time.sleep(0.05)
            for (role, node), (old, cpu) in zip(nodes, before):
                new = status(node)
                percent = (cpu_seconds(worker(new)) - cpu) * 100 / seconds
                found.append({
                    "case": f"{tables} tables, {title}, {role}", "cpu_percent": round(percent, 2),
                    **per_minute(old, new, seconds),
                })
        place.end(replica)
        place.end(primary)
    return found


PARTS = {"ingest": ingest, "lag": lag, "catchup": catchup, "requests": requests}
