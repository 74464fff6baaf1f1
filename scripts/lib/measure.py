"""What scripts/bench measures with: clusters, mounts and a plain session, all in one temporary place."""
import ctypes
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


def percentile(values, percent):
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 1)


def worker(status):
    """The process that computes: a primary's daemon only holds the mount."""
    return status.get("worker") or status["pid"]


def per_minute(old, new, seconds):
    counted = {}
    for group in ("requests", "bytes"):
        for kind, value in new[group].items():
            grown = value - old[group].get(kind, 0)
            if grown:
                counted[f"{kind} {group}"] = round(grown * 60 / seconds)
    return {"per_minute": counted}


class Place:
    """A temporary directory with a store; leaving it takes everything away again."""

    def __init__(self, walfs):
        self.walfs = walfs
        self.programs = max(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
        )
        self.user = pwd.getpwnam("postgres")
        self.clusters = []
        self.peaks = {}

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="walfs-bench-"))
        self.root.chmod(0o755)
        return self

    def __exit__(self, *_):
        for cluster in reversed(self.clusters):
            cluster.stop()
        for cluster in reversed(self.clusters):
            if os.path.ismount(cluster.wal):
                subprocess.run(["umount", "-l", cluster.wal], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def cluster(self, name, **settings):
        cluster = Cluster(self, name)
        cluster.program("initdb", "-D", cluster.data, "-U", "postgres", "-A", "trust", "--no-sync")
        cluster.configure(listen_addresses="", unix_socket_directories=cluster.root, **settings)
        return cluster

    def mount(self, cluster, options, volume):
        url = f"file://{self.root}/store/{volume}"
        (self.root / "store").mkdir(exist_ok=True)
        cache = f",cache={self.root}/cache-{cluster.name}" if "replica" in options else ""
        log = open(self.root / "walfs.log", "ab")
        subprocess.run(
            [self.walfs, "mount", url, cluster.wal, "-o", options + cache], check=True,
            stdout=log, stderr=log,
        )

    def unmount(self, cluster):
        pid = self.status(cluster)["pid"]
        subprocess.run(["umount", cluster.wal], check=True)
        while Path(f"/proc/{pid}/fd").exists():
            time.sleep(0.05)

    def status(self, cluster):
        return json.loads((cluster.wal / ".walfs/status.json").read_text())

    def shipped(self, cluster):
        while self.status(cluster).get("backlog_bytes"):
            time.sleep(0.1)

    def memory(self, role, cluster):
        """Remembers the highest peak of a role's daemons."""
        lines = Path(f"/proc/{worker(self.status(cluster))}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        self.peaks[role] = max(self.peaks.get(role, 0), round(peak / 1024))

    def run(self, cluster, name, *words):
        return cluster.program(name, "-h", cluster.root, "-U", "postgres", *words)

    def start(self, cluster, name, *words):
        words = [self.programs / name, "-h", cluster.root, "-U", "postgres", *words]
        return subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **cluster.as_owner()
        )


class Cluster:
    """A data directory; `with cluster` runs its server."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.root = place.root / name
        self.data = self.root / "data"
        self.wal = self.data / "pg_wal"
        self.root.mkdir()
        shutil.chown(self.root, place.user.pw_uid, place.user.pw_gid)
        place.clusters.append(self)

    def as_owner(self):
        user = self.place.user
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": self.root}

    def program(self, name, *words):
        done = subprocess.run(
            [self.place.programs / name, *words], text=True, capture_output=True, **self.as_owner()
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}")
        return done.stdout

    def configure(self, **settings):
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())

    def base_backup(self, name):
        standby = Cluster(self.place, name)
        self.program("pg_basebackup", "-h", self.root, "-U", "postgres", "-D", standby.data,
                     "-X", "none", "-c", "fast", "--no-sync")
        standby.configure(unix_socket_directories=standby.root, hot_standby="on",
                          wal_retrieve_retry_interval="5ms", log_min_messages="fatal")
        (standby.data / "standby.signal").touch()
        shutil.chown(standby.data / "standby.signal", self.place.user.pw_uid)
        return standby

    @contextmanager
    def using(self, **settings):
        words = " ".join(f"-c {key}={value}" for key, value in settings.items())
        log = self.root / "server.log"
        try:
            # Not through pipes: the server would hold them open.
            subprocess.run(
                [self.place.programs / "pg_ctl", "-D", self.data, "-w", "-s", "-t", "600",
                 "-l", log, "-o", words, "start"],
                check=True, **self.as_owner(),
            )
            yield self
        finally:
            self.stop()

    def __enter__(self):
        self.running = self.using()
        return self.running.__enter__()

    def __exit__(self, *reason):
        return self.running.__exit__(*reason)

    def stop(self):
        if (self.data / "postmaster.pid").exists():
            subprocess.run(
                [self.place.programs / "pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop"],
                check=False, **self.as_owner(),
            )

    def ask(self, sql):
        return Session(self.root).ask(sql)


class Session:
    """One connection through libpq itself: no package to install, no process per question."""

    libpq = None

    def __init__(self, root):
        if Session.libpq is None:
            libpq = ctypes.CDLL("libpq.so.5")
            for name, result in [("PQconnectdb", ctypes.c_void_p), ("PQexec", ctypes.c_void_p),
                                 ("PQgetvalue", ctypes.c_char_p), ("PQerrorMessage", ctypes.c_char_p)]:
                getattr(libpq, name).restype = result
            Session.libpq = libpq
        words = f"host={root} user=postgres dbname=postgres"
        self.connection = ctypes.c_void_p(self.libpq.PQconnectdb(words.encode()))
        if self.libpq.PQstatus(self.connection) != 0:
            raise RuntimeError(self.libpq.PQerrorMessage(self.connection).decode())

    def ask(self, sql):
        result = ctypes.c_void_p(self.libpq.PQexec(self.connection, sql.encode()))
        try:
            if self.libpq.PQresultStatus(result) not in (1, 2):
                raise RuntimeError(self.libpq.PQerrorMessage(self.connection).decode())
            if self.libpq.PQntuples(result) == 0:
                return None
            return self.libpq.PQgetvalue(result, 0, 0).decode()
        finally:
            self.libpq.PQclear(result)

    def __del__(self):
        if getattr(self, "connection", None):
            self.libpq.PQfinish(self.connection)
