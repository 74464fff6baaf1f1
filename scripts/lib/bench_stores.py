"""The rows of scripts/bench for distant stores: lag, requests and what they cost, measured over a
store on this disk that answers as slowly as those do."""
import json
import subprocess
import time
from pathlib import Path

from measure import Session, percentile

# Medians and 99th percentiles as published for these services.
STORES = {
    "s3": ("put=65ms,300ms&get=15ms,80ms", ""),
    "s3-express": ("put=9ms,30ms&get=5ms,15ms", ",poll=10ms"),
}
# How often the lag is measured at each interval.
INTERVALS = {"0": 200, "100ms": 150, "1s": 60, "10s": 20}
PRICES = json.loads(
    (Path(__file__).resolve().parents[2] / "src/store/doctor/prices.json").read_text()
)


def far(place, quick):
    """From the primary's answer to an INSERT until the standby shows the row."""
    return [
        measure(place, store, interval, probes // 5 if quick else probes, quick)
        for store in STORES
        for interval, probes in INTERVALS.items()
    ]


def measure(place, store, interval, probes, quick):
    seconds, settle = (20, 60) if quick else (60, 120)
    pace, poll = STORES[store]
    name = f"far-{store}-{interval}"
    (place.root / "store").mkdir(exist_ok=True)
    url = f"sim+file://{place.root}/store/{name}?{pace}"
    primary = place.cluster(name)
    mount(place, url, primary, f"primary,layout=postgres,interval={interval},node=p")
    with primary:
        primary.ask("CREATE TABLE probe (n int PRIMARY KEY)")
        place.run(primary, "pgbench", "-i", "-q", "-s", "1", "postgres")
        standby = primary.base_backup(name + "-standby")
        mount(place, url, standby, f"replica,node=s{poll}")
        nodes = (primary, standby)
        with standby:
            waits = probe(primary, standby, probes)
            load = ["-N", "-n", "-c", "4", "-R", "200", "-T", str(seconds + 5), "postgres"]
            load = place.start(primary, "pgbench", *load)
            time.sleep(2)
            busy = counted(place, nodes, seconds)
            load.wait()
            time.sleep(settle)  # Until the database has nothing left to do and the polling is slow.
            idle = counted(place, nodes, seconds)
        place.unmount(standby)
    place.unmount(primary)
    return {
        "case": f"{store}{poll}, interval={interval}",
        "p50_ms": percentile(waits, 50), "p99_ms": percentile(waits, 99),
        "busy_per_hour": sum(busy.values()), "busy_usd_month": dollars(store, busy),
        "idle_per_hour": sum(idle.values()), "idle_usd_month": dollars(store, idle),
        "busy": busy, "idle": idle,
    }


def mount(place, url, cluster, options):
    if "replica" in options:
        options += f",cache={place.root}/cache-{cluster.name}"
    with open(place.root / "walfs.log", "ab") as log:
        subprocess.run([place.walfs, "mount", url, cluster.wal, "-o", options], check=True,
                       stdout=log, stderr=log)


def probe(primary, standby, count):
    source, target = Session(primary.root), Session(standby.root)
    waits = []
    for number in range(-3, count):
        source.ask(f"INSERT INTO probe VALUES ({number + 3})")
        begin = time.perf_counter()
        while target.ask(f"SELECT 1 FROM probe WHERE n = {number + 3}") != "1":
            time.sleep(0.001)
        if number >= 0:  # The first ones find everything cold.
            waits.append((time.perf_counter() - begin) * 1000)
        # Not in step with anybody's clock.
        time.sleep(0.02 + (number * 7919 % 41) / 1000)
    return waits


def counted(place, nodes, seconds):
    """Requests per hour of both nodes together."""
    before = [place.status(node)["requests"] for node in nodes]
    time.sleep(seconds)
    after = [place.status(node)["requests"] for node in nodes]
    grown = {}
    for old, new in zip(before, after):
        for kind, value in new.items():
            grown[kind] = grown.get(kind, 0) + value - old.get(kind, 0)
    return {kind: round(value * 3600 / seconds) for kind, value in grown.items() if value}


def dollars(store, per_hour):
    prices = PRICES["stores"][store]
    of = lambda kinds: sum(per_hour.get(kind, 0) for kind in kinds)  # noqa: E731
    million = (of(["create", "put"]) * prices["write"] + of(["get", "get_miss"]) * prices["read"]
               + of(["list"]) * prices["list"])
    return round(million * 720 / 1e6, 2)
