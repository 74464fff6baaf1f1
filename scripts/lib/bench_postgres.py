"""The rows of scripts/bench for PostgreSQL: pg_wal on walfs against a native run."""
import statistics
import subprocess
import time

from bench_stores import far
from measure import Session, per_minute, percentile

BUSY = ["-N", "-n", "-c", "8", "-j", "2"]


def throughput(place, quick):
    """pgbench -N with pg_wal on walfs and native, alternating; the ratio of each pair."""
    seconds, pairs = (4, 2) if quick else (15, 4)
    cluster = place.cluster("throughput", shared_buffers="256MB", max_wal_size="4GB")
    with cluster:
        place.run(cluster, "pgbench", "-i", "-q", "-s", "20", "postgres")

    def one(walfs, **settings):
        if walfs:
            place.mount(cluster, "primary,layout=postgres,node=bench", "throughput")
        try:
            with cluster.using(**settings):
                cluster.ask("CHECKPOINT")
                place.run(cluster, "pgbench", *BUSY, "-T", "1", "postgres")
                output = place.run(cluster, "pgbench", *BUSY, "-T", str(seconds), "postgres")
        finally:
            if walfs:
                place.memory("primary", cluster)
                place.unmount(cluster)
        line = next(line for line in output.splitlines() if line.startswith("tps"))
        return float(line.split()[2])

    rows = []
    for title, settings in [
        ("commit on, fdatasync", {"synchronous_commit": "on", "wal_sync_method": "fdatasync"}),
        ("commit on, open_datasync", {"synchronous_commit": "on", "wal_sync_method": "open_datasync"}),
        ("commit off", {"synchronous_commit": "off", "wal_sync_method": "fdatasync"}),
    ]:
        native, walfs = [], []
        for pair in range(pairs):
            for turn in (False, True) if pair % 2 == 0 else (True, False):
                (walfs if turn else native).append(one(turn, **settings))
        ratios = [ours / theirs for ours, theirs in zip(walfs, native)]
        rows.append({
            "case": title, "native_tps": round(statistics.median(native)),
            "walfs_tps": round(statistics.median(walfs)),
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratio, 3) for ratio in ratios],
        })
    return rows


def lag(place, quick):
    """From the primary's answer to an INSERT until the standby shows the row."""
    probes = 60 if quick else 300
    rows = []
    for interval, load, poll in [("0", 0, ""), ("0", 0, "2ms"), ("0", 200, "2ms"), ("1s", 0, "")]:
        name = f"lag-{interval}-{load}-{poll}"
        primary = place.cluster(name)
        place.mount(primary, f"primary,layout=postgres,interval={interval},node=p", name)
        with primary:
            place.run(primary, "pgbench", "-i", "-q", "-s", "2", "postgres")
            primary.ask("CREATE TABLE probe (n int PRIMARY KEY)")
            standby = primary.base_backup(name + "-standby")
            place.mount(standby, "replica,node=s" + (f",poll={poll}" if poll else ""), name)
            with standby:
                command = ["-N", "-n", "-c", "4", "-R", str(load), "-T", "600", "postgres"]
                busy = place.start(primary, "pgbench", *command) if load else None
                try:
                    waits = probe(primary, standby, probes if interval == "0" else probes // 3)
                finally:
                    if busy:
                        busy.terminate()
                        busy.wait()
                place.memory("primary", primary)
                place.memory("replica", standby)
            place.unmount(standby)
        place.unmount(primary)
        rows.append({
            "case": f"interval={interval}" + (f",poll={poll}" if poll else "") +
                    (f", {load} tps beside" if load else ""),
            "p50_ms": percentile(waits, 50), "p95_ms": percentile(waits, 95),
            "p99_ms": percentile(waits, 99), "max_ms": percentile(waits, 100),
        })
    return rows


def probe(primary, standby, count):
    source, target = Session(primary.root), Session(standby.root)
    waits = []
    for number in range(-5, count):
        source.ask(f"INSERT INTO probe VALUES ({number + 5})")
        begin = time.perf_counter()
        while target.ask(f"SELECT 1 FROM probe WHERE n = {number + 5}") != "1":
            time.sleep(0.001)
        if number >= 0:  # The first ones find everything cold.
            waits.append((time.perf_counter() - begin) * 1000)
        # Not in step with anybody's clock.
        time.sleep(0.02 + (number * 7919 % 41) / 1000)
    return waits


def catchup(place, quick):
    """A standby replays the same WAL: from the store, through an empty cache; from a directory."""
    scale, pairs = (10, 1) if quick else (60, 3)
    primary = place.cluster("catchup", wal_keep_size="8GB", max_wal_size="8GB")
    place.mount(primary, "primary,layout=postgres,node=p", "catchup")
    with primary:
        standbys = [primary.base_backup(f"catchup-{turn}") for turn in range(2 * pairs)]
        place.run(primary, "pgbench", "-i", "-q", "-s", str(scale), "postgres")
        place.run(primary, "pgbench", *BUSY, "-T", "5" if quick else "20", "postgres")
        end = primary.ask("SELECT pg_current_wal_flush_lsn()")
        start = primary.ask("SELECT redo_lsn FROM pg_control_checkpoint()")
        place.shipped(primary)
        wal = primary.ask(f"SELECT ('{end}'::pg_lsn - '0/2000000'::pg_lsn)::bigint")
        store, local = [], []
        for turn, standby in enumerate(standbys):
            if turn % 2 == 0:
                local.append(replay(place, standby, end, primary))
            else:
                store.append(replay(place, standby, end, None))
    place.unmount(primary)
    ratios = [native / walfs for native, walfs in zip(local, store)]
    return [{
        "case": f"{int(wal) >> 20} MiB of WAL", "local_s": round(statistics.median(local), 2),
        "store_s": round(statistics.median(store), 2),
        "ratio": round(statistics.median(ratios), 3), "redo_of_primary": start,
    }]


def replay(place, standby, end, copied_from):
    if copied_from:
        source, target = copied_from.data / "pg_wal", standby.data / "pg_wal"
        copy = f"cp -a {source}/0* {target}/ && chown -R postgres: {target} && sync -f {target}"
        subprocess.run(["sh", "-c", copy], check=True)
    else:
        place.mount(standby, "replica,node=s", "catchup")
    begin = time.perf_counter()
    with standby:
        session = Session(standby.root)
        while session.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") != "t":
            time.sleep(0.01)
        took = time.perf_counter() - begin
        if not copied_from:
            place.memory("replica", standby)
    if not copied_from:
        place.unmount(standby)
    return took


def requests(place, quick):
    """What the store is asked, per minute: nobody writing, and a steady load."""
    seconds = 15 if quick else 60
    primary = place.cluster("requests")
    place.mount(primary, "primary,layout=postgres,node=p", "requests")
    rows = []
    with primary:
        place.run(primary, "pgbench", "-i", "-q", "-s", "2", "postgres")
        standby = primary.base_backup("requests-standby")
        place.mount(standby, "replica,node=s", "requests")
        with standby:
            for title, load in [("200 tps", 200), ("idle", 0)]:
                if load:
                    command = ["-N", "-n", "-c", "4", "-R", "200", "-T", str(seconds + 5)]
                    busy = place.start(primary, "pgbench", *command, "postgres")
                else:
                    time.sleep(25)  # Until the polling has slowed down.
                before = [place.status(node) for node in (primary, standby)]
                time.sleep(seconds)
                after = [place.status(node) for node in (primary, standby)]
                if load:
                    busy.wait()
                for role, old, new in zip(("primary", "replica"), before, after):
                    rows.append({"case": f"{title}, {role}", **per_minute(old, new, seconds)})
        place.unmount(standby)
    place.unmount(primary)
    return rows


PARTS = {
    "throughput": throughput, "lag": lag, "catchup": catchup, "requests": requests, "stores": far,
}
