"""The whole installation as processes that can be killed: its own PostgreSQL and Valkey, web, workers and clocks."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from flask_migrate import upgrade

from core import db
from core.embedded import Embedded, Urls

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENDING = ("--workers-kill-timeout", "30", "--respawn-failed-workers", "--no-access-log")


def wait_until(holds: Callable[[], bool], *, alive: Iterable[Process] = (), every: float = 0.05) -> float:
    """Return how many seconds it took until something holds; fails when a process that must be `alive` has ended.

    However busy the machine is, what comes late is no fault; what never comes is ended by the test's own time-out.
    """
    began = time.monotonic()
    while not holds():
        for process in alive:
            assert process.code is None, f"{process.name} ended: {process.said()[-2000:]}"
        time.sleep(every)
    return time.monotonic() - began


class Ground:
    """PostgreSQL and Valkey of one's own, durable, to be killed and started again."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="amends-faults-"))
        folder.chmod(0o755)  # an unprivileged user runs the servers
        self.base = folder / "base"
        self._held = Embedded(self.base)
        urls = self._held.start()
        with psycopg.connect(urls.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE DATABASE amends")
        self.urls = Urls(urls.database_url.replace("/postgres?", "/amends?"), urls.redis_url)
        app = Flask("migrations")
        db.init_app(app, self.urls.database_url)
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            db.db.engine.dispose()

    def start(self) -> None:
        """Start what does not run; return when both servers answer."""
        again = Embedded(self.base)
        again.start()
        again.stop()  # not the last user: nothing is stopped

    def kill_postgres(self) -> None:
        self._signal("postgres/postmaster.pid", signal.SIGKILL)

    def kill_valkey(self) -> None:
        self._signal("valkey.pid", signal.SIGKILL)

    def hang_valkey(self) -> None:
        """It takes connections and says nothing, as a machine does that swaps or lost its network."""
        self._signal("valkey.pid", signal.SIGSTOP)

    def release_valkey(self) -> None:
        self._signal("valkey.pid", signal.SIGCONT)

    def end(self) -> None:
        self.start()  # so that whatever a failed test killed is stopped in order
        self._held.stop()
        shutil.rmtree(self.base.parent, ignore_errors=True)

    def _signal(self, pidfile: str, what: signal.Signals) -> None:
        os.kill(int((self.base / pidfile).read_text().split()[0]), what)


@dataclass
class Process:
    """A command of ours that runs."""

    name: str
    pid: int
    log: Path
    _ask: Callable[[int], int | None] = field(repr=False)

    @property
    def code(self) -> int | None:
        """How it ended: its exit code, or minus the signal; None while it runs."""
        return self._ask(self.pid)

    def signal(self, what: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, what)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Wait until it has ended; return how."""
        wait_until(lambda: self.code is not None)
        code = self.code
        assert code is not None
        return code

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


class Nursery:
    """Starts commands of ours (tests/faults/nursery.py); all of them end with it."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._logs, self._count = logs, 0
        self._children: list[Process] = []
        self._mother = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments: str) -> Process:
        self._count += 1
        log = self._logs / f"{self._count:03}-{'-'.join(arguments)}.log"
        pid = self._say({"start": list(arguments), "log": str(log)})
        assert pid is not None
        process = Process(" ".join(arguments), pid, log, lambda pid: self._say({"ask": pid}))
        self._children.append(process)
        return process

    def worker(self, queue: str) -> Process:
        return self.start("worker", queue)

    def clock(self) -> Process:
        return self.start("clock")

    def clear(self) -> None:
        """Kill what still runs."""
        for child in self._children:
            if child.code is None:
                child.kill()
        self._children.clear()

    def end(self) -> None:
        self.clear()
        assert self._mother.stdin and self._mother.stdout
        self._mother.stdin.close()
        try:
            self._mother.wait(timeout=60)
        except subprocess.TimeoutExpired:  # after a test that failed no time-out of the test's ends this
            self._mother.kill()
            self._mother.wait()
        self._mother.stdout.close()

    def _say(self, order: Mapping[str, Any]) -> int | None:
        assert self._mother.stdin and self._mother.stdout
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()
        answer: int | None = json.loads(self._mother.stdout.readline())
        return answer


class Web:
    """The web as the Procfile starts it, on a port of this machine or on a socket."""

    def __init__(
        self, environment: Mapping[str, str], *, log: Path, port: int = 0, uds: Path | None = None, workers: int = 1
    ) -> None:
        self.port, self.uds, self.log = port, uds, log
        place = ["--uds", str(uds)] if uds else ["--host", "127.0.0.1", "--port", str(port)]
        words = f"--interface wsgi --factory wsgi:create_app --workers {workers} --blocking-threads 4 --backpressure 64"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [BIN / "granian", *words.split(), *place, *ENDING],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )

    def connection(self, *, seconds: float = 30.0) -> HTTPConnection:
        if self.uds is None:
            return HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        return SocketConnection(self.uds, timeout=seconds)

    def answers(self, path: str = "/healthz") -> bool:
        connection = self.connection(seconds=5)
        try:
            connection.request("GET", path)
            with connection.getresponse() as response:
                return response.status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def ready(self) -> None:
        """Wait until it answers and the database with it."""
        wait_until(lambda: self._process.poll() is not None or self.answers("/readyz"))
        assert self._process.poll() is None, self.said()[-2000:]

    def hang_up(self) -> None:
        """Ask it to start its workers anew, one after the other (SIGHUP), as after a new version."""
        self._process.send_signal(signal.SIGHUP)

    def said(self) -> str:
        return self.log.read_text()

    def replaced(self) -> int:
        """How many workers were replaced so far."""
        return self.said().count("Stopped old worker")

    def is_whole(self) -> bool:
        """Whether each worker that was ever begun has started."""
        said = self.said()
        return said.count("Started worker-") == said.count("Spawning worker-")

    def end(self) -> int:
        self._process.terminate()
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class SocketConnection(HTTPConnection):
    """HTTP over a Unix socket, as a proxy on the same machine speaks to us."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def free_port() -> int:
    """Return a port that nobody has, below those that connections are given; each process of tests has its own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + 100 * (number % 100)
    for port in random.sample(range(first, first + 100), 100):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise RuntimeError(f"All ports from {first} are taken.")
