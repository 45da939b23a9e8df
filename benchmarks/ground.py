"""What everything is measured on: servers of one's own, databases with a house in them, web processes and workers.

PostgreSQL is durable (fsync and synchronous_commit on), the same for the product and the yardstick; both run under one
and the same granian command.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from flask import Flask
from flask_migrate import upgrade
from psycopg import sql

from benchmarks import load
from core.config import Config, from_environment
from core.embedded import Embedded

ROOT = Path(__file__).parents[1]
SECRET = "a-secret-of-benchmarks-alone-0123456789"
WORKERS, THREADS = 2, 4
START_SECONDS = 60
PR_SET_PDEATHSIG = 1
TEMPLATE = "bench_template"


@dataclass(frozen=True)
class Size:
    """How much is measured; `quick` is for a look, full for the report."""

    quick: bool
    pairs: int = 5
    visits: int = 4000  # of one run of submits, pages or flows
    desk_cases: int = 1_000_000
    desk_open: int = 100_000
    responses: int = 10_000_000
    page_views: int = 150  # of one run of a staff page
    invitations: int = 10_000
    hand_over_seconds: int = 180
    imported: int | None = None  # rows of a file; None: all

    @classmethod
    def of(cls, *, quick: bool) -> Size:
        if not quick:
            return cls(quick=False)
        return cls(
            quick=True,
            pairs=3,
            visits=800,
            desk_cases=100_000,
            desk_open=10_000,
            responses=200_000,
            page_views=30,
            invitations=2_000,
            hand_over_seconds=12,
            imported=3_000,
        )


@dataclass
class Process:
    """A process of ours, ended with us."""

    handle: subprocess.Popen[bytes]
    port: int = 0
    log: Path = field(default_factory=Path)

    def stop(self) -> None:
        if self.handle.poll() is None:
            os.killpg(self.handle.pid, signal.SIGTERM)
            try:
                self.handle.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.handle.pid, signal.SIGKILL)
                self.handle.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        """Return the processor's time that it and its children took so far."""
        return cpu_seconds(self.handle.pid)

    def memory_mb(self) -> float:
        """Return what it and its children take of memory, shared pages divided among their users (PSS)."""
        return sum(_pss_kb(pid) for pid in [self.handle.pid, *_children(self.handle.pid)]) / 1024


class Ground:
    """Servers and their databases. One at a time on a machine: it drops what an earlier one left."""

    def __init__(self, base: Path) -> None:
        self._servers = Embedded(base)
        self.urls = self._servers.start()
        self.logs = base.parent / "bench-logs"
        self.logs.mkdir(exist_ok=True)
        self._made: list[str] = []
        self._processes: list[Process] = []
        atexit.register(self.stop)
        self._make_template()

    def stop(self) -> None:
        atexit.unregister(self.stop)
        for process in self._processes:
            process.stop()
        for name in self._made:
            self._sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made.clear()
        self._servers.stop()

    # Databases

    def database(self, name: str, *, empty: bool = False) -> str:
        """Make a database, migrated unless `empty`, in place of what an earlier run left; return its name."""
        self._sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        if empty:
            self._sql("CREATE DATABASE {}", name)
        else:
            self._sql("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, TEMPLATE)
        self._made.append(name)
        return name

    def drop(self, name: str) -> None:
        self._sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def url(self, database: str) -> str:
        return self.urls.database_url.replace("@/postgres?", f"@/{database}?")

    def cpu_seconds(self) -> float:
        """Return the processor's time that PostgreSQL took so far."""
        return cpu_seconds(int((self._servers.base / "postgres" / "postmaster.pid").read_text().split()[0]))

    def _sql(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.urls.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))

    def _make_template(self) -> None:
        self._sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", TEMPLATE)
        self._sql("CREATE DATABASE {}", TEMPLATE)
        with self.app(TEMPLATE).app_context():
            upgrade(directory=str(ROOT / "migrations"))
            _let_go()
        self._made.append(TEMPLATE)

    # The application

    def environment(self, database: str, **more: str) -> dict[str, str]:
        """Return the environment of a production installation on one of our databases."""
        number = self._made.index(database) + 1 if database in self._made else 0
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AMENDS_ENV": "production",
            "AMENDS_BASE_URL": "http://127.0.0.1",
            "AMENDS_VAR_DIR": str(self.logs),
            "SECRET_KEY": SECRET,
            "DATABASE_URL": self.url(database),
            "REDIS_URL": f"{self.urls.redis_url}?db={number}",
            **more,
        }

    def config(self, database: str, **more: str) -> Config:
        return from_environment(self.environment(database, **more))

    def app(self, database: str, **more: str) -> Flask:
        """Return the application in this process, for seeding."""
        from wsgi import create_app  # late: other works measure how long it takes to load

        app = create_app(self.config(database, **more))
        app.extensions["redis"].flushdb()
        return app

    @contextmanager
    def inside(self, database: str, **more: str) -> Iterator[Flask]:
        """Lend the application with its context; what it opened is closed afterwards."""
        app = self.app(database, **more)
        with app.app_context():
            yield app
            _let_go()

    # Processes

    def product(self, database: str, **more: str) -> Process:
        target = ["--factory", "wsgi:create_app"]
        return self._web(f"web-{database}", target, self.environment(database, **more), path="/healthz")

    def floor(self) -> Process:
        database = self.database("bench_floor", empty=True)
        process = self._web("floor", ["benchmarks.floor:app"], self.environment(database), path="/hello")
        # Each of its workers makes pool and table with its first answer, and must not be hurried: one at a time.
        for _ in range(20):
            load.run(process.port, [[load.post("/insert", {"nps": 9, "csat": 5})]], processes=1, connections=1)
        return process

    def command(self, database: str, *arguments: str, **more: str) -> Process:
        """Start one of the product's commands, such as a worker."""
        flask = str(Path(sys.executable).with_name("flask"))
        return self._start(
            "-".join((*(each for each in arguments if "/" not in each), database)),
            [flask, "--app", "wsgi", *arguments],
            self.environment(database, **more),
        )

    def _web(self, name: str, target: list[str], environment: dict[str, str], *, path: str) -> Process:
        port = free_port()
        granian = str(Path(sys.executable).with_name("granian"))
        command = [granian, "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers"]
        command += [str(WORKERS), "--blocking-threads", str(THREADS), "--backpressure", "64", "--no-access-log"]
        process = self._start(name, [*command, "--log-level", "warning", *target], environment, port=port)
        wait_for_page(process, path)
        return process

    def _start(self, name: str, command: list[str], environment: Mapping[str, str], *, port: int = 0) -> Process:
        path = self.logs / f"{name}.log"
        with path.open("wb") as log:
            handle = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        process = Process(handle, port, path)
        self._processes.append(process)
        return process


def wait_for_page(process: Process, path: str) -> float:
    """Return after how many seconds the first answer with status 200 was there."""
    begun = time.monotonic()
    while time.monotonic() - begun < START_SECONDS:
        if process.handle.poll() is not None:
            break
        try:
            if load.run(process.port, [[load.get(path)]], processes=1, connections=1).statuses[200]:
                return time.monotonic() - begun
        except RuntimeError:
            time.sleep(0.02)
    process.stop()
    raise RuntimeError(f"{process.handle.args!r} did not answer; see {process.log}.")


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        number: int = door.getsockname()[1]
        return number


def _let_go() -> None:
    from core.db import db

    db.session.remove()
    db.engine.dispose()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor's time of a process and its children, those that ended included."""
    ticks = 0
    for each in [pid, *_children(pid)]:
        with suppress(OSError):  # one that ended meanwhile counts with its parent
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
