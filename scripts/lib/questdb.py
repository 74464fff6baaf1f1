"""What scripts/bench measures QuestDB with: servers, mounts and sessions, in one temporary place."""
import functools
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

from measure import worker

VERSION = "9.3.4"
SMALL = """
http.min.enabled=false
line.udp.enabled=false
telemetry.disable.completely=true
shared.network.worker.count=1
shared.query.worker.count=1
shared.write.worker.count=1
"""
USERS = "pg.user=walfs\npg.password=secret\npg.readonly.user=reader\npg.readonly.password=reader\n"


class Place:
    """A temporary directory with a store; leaving it takes everything away again."""

    def __init__(self, walfs, jar):
        self.walfs, self.jar = walfs, jar
        self.servers, self.mounts, self.peaks = [], [], {}

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="walfs-bench-"))
        (self.root / "store").mkdir()
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.stop()
        for mount in reversed(self.mounts):
            if os.path.ismount(mount):
                subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def mount(self, directory, options, volume):
        directory.mkdir(parents=True, exist_ok=True)
        with open(self.root / "walfs.log", "ab") as log:
            subprocess.run(
                [self.walfs, "mount", f"file://{self.root}/store/{volume}", directory, "-o", options],
                check=True, stdout=log, stderr=log,
            )
        self.mounts.append(directory)

    def unmount(self, directory):
        pid = status(directory)["pid"]
        subprocess.run(["umount", directory], check=True)
        while Path(f"/proc/{pid}/fd").exists():
            time.sleep(0.05)

    def memory(self, role, directory):
        """Remembers the highest peak of a role's daemons."""
        lines = Path(f"/proc/{worker(status(directory))}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        self.peaks[role] = max(self.peaks.get(role, 0), round(peak / 1024))

    def primary(self, name, options="interval=0", volume=None, settings="", walfs=True):
        """A running primary, its database on a mount or not."""
        server = Server(self, name, "primary", settings)
        if walfs:
            self.mount(server.database, f"primary,layout=questdb,node={name},{options}", volume or name)
        return server.start()

    def replica(self, name, volume, options="", settings=""):
        """A running replica with an empty database, and what delivers into it."""
        server = Server(self, name, "replica", settings).start()
        password = server.root / "password"
        password.write_text("secret")
        self.mount(
            server.view, f"replica,node={name},cache={server.root}/cache,database={server.database},"
            f"questdb=127.0.0.1:{server.pg},questdb_user=walfs,questdb_password_file={password}"
            + (f",{options}" if options else ""), volume,
        )
        return server

    def end(self, server):
        server.stop()
        for directory in (server.view, server.database):
            if os.path.ismount(directory):
                self.unmount(directory)


class Server:
    """A QuestDB server and its root."""

    def __init__(self, place, name, role, settings=""):
        self.place, self.running = place, None
        self.root = place.root / name
        self.database, self.view = self.root / "db", self.root / "view"
        self.database.mkdir(parents=True)
        (self.root / "conf").mkdir()
        self.http, self.pg, self.line = free_ports(3)
        printed = subprocess.run(
            [place.walfs, "config", "questdb", "--role", role], check=True, text=True,
            capture_output=True,
        ).stdout
        (self.root / "conf/server.conf").write_text(
            f"{printed}\n{SMALL}{USERS if role == 'replica' else ''}{settings}\n"
            f"http.bind.to=127.0.0.1:{self.http}\npg.net.bind.to=127.0.0.1:{self.pg}\n"
            f"line.tcp.net.bind.to=127.0.0.1:{self.line}\n"
        )
        place.servers.append(self)

    def start(self):
        log = open(self.root / "server.log", "ab")
        self.running = subprocess.Popen(
            ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             f"-Djava.io.tmpdir={self.root}", "-p", self.place.jar,
             "-m", "io.questdb/io.questdb.ServerMain", "-d", self.root],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.running.poll() is not None:
                raise RuntimeError((self.root / "server.log").read_text()[-2000:])
            try:
                Session(self, timeout=10).ask("SELECT 1")
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"no answer from {self.root}:\n{(self.root / 'server.log').read_text()[-2000:]}")

    def stop(self):
        if self.running:
            self.running.terminate()
            try:
                self.running.wait(30)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()
            self.running = None

    def connect(self):
        """A connection that takes rows in the line protocol."""
        return socket.create_connection(("127.0.0.1", self.line))


class Session:
    """One kept connection over HTTP."""

    def __init__(self, server, timeout=60):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=timeout)

    def ask(self, sql):
        """The first value of the answer; None if there is no row."""
        self.connection.request("GET", "/exec?" + urllib.parse.urlencode({"query": sql}))
        answer = json.loads(self.connection.getresponse().read())
        if "error" in answer:
            raise RuntimeError(f"{sql}: {answer['error']}")
        rows = answer.get("dataset")
        return rows[0][0] if rows else None

    def write(self, lines):
        self.connection.request("POST", "/write?precision=n", lines)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 204:
            raise RuntimeError(body.decode())


def status(directory):
    return json.loads((directory / ".walfs/status.json").read_text())


def sequenced(database, table):
    """How many commits of a table a server took: the count in its `_txnlog`."""
    with open(directory(database, table) / "txn_seq/_txnlog", "rb") as log:
        return struct.unpack("<q", os.pread(log.fileno(), 8, 4))[0]


def applied(database, table):
    """How many commits of a table a server has applied: as its `_txn` says, in the record that
    its version chooses (see `Applied::parse` in src/layout/questdb/table.rs)."""
    with open(directory(database, table) / "_txn", "rb") as txn:
        for _ in range(1000):
            version, = struct.unpack("<q", os.pread(txn.fileno(), 8, 0))
            record, = struct.unpack("<i", os.pread(txn.fileno(), 4, 8 if version % 2 == 0 else 32))
            found, = struct.unpack("<q", os.pread(txn.fileno(), 8, record + 80))
            if os.pread(txn.fileno(), 8, 0) == struct.pack("<q", version):
                return found
    raise RuntimeError(f"{table}: its _txn changes all the time")


@functools.cache
def directory(database, table):
    return next(path for path in database.glob(f"{table}~*") if path.is_dir())


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
