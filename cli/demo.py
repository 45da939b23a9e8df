"""bin/demo: the whole product on this machine, reachable from it alone, with a believable year in it.

The web server is a process of its own; workers and clock are forked from this one, so that they start at once. All of
them end with it, however it ends: the kernel tells them when their parent is gone.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import IO, Any, Final

ROOT: Final = pathlib.Path(__file__).resolve().parent.parent
INTERACTIONS, FEW_INTERACTIONS = 24_000, 500
WAIT_SECONDS: Final = 60
PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Start everything and wait for Ctrl-C, which also ends a start that is under way."""
    options = _options()
    var = pathlib.Path(os.environ.get("AMENDS_VAR_DIR", ROOT / "var")).absolute()
    var.mkdir(parents=True, exist_ok=True)
    running, children = _only_one(var), Children()
    try:
        _start(options, var, children)
        children.wait()
    except KeyboardInterrupt:
        _say("\nStopping …")
    finally:
        children.stop()
        running.close()


def _start(options: argparse.Namespace, var: pathlib.Path, children: Children) -> None:
    """Start servers, web and workers, write the year if there is none, and say where everything is."""
    _check_port(options.port)
    started = time.monotonic()
    _say("Starting PostgreSQL and Valkey …")
    _start_servers(var, options.port)
    is_ready = not options.fresh and _is_prepared()
    if is_ready:  # the web server and this process then load the application at the same time
        children.start_web(options.port)
    app = _application()
    with app.app_context():
        if options.fresh:
            _empty()
        if not is_ready:
            _prepare(app, small=options.small)
        handed_out = _write_logins(var, options.port)
    if not is_ready:
        children.start_web(options.port)
    for command in (*(["worker", queue] for queue in ("messages", "rewards", "reactions", "reports")), ["clock"]):
        children.fork(lambda command=command: _run(app, command))  # type: ignore[misc]  # bound now, not when it runs
    _wait_for(f"http://127.0.0.1:{options.port}/healthz", children)
    _welcome(handed_out, time.monotonic() - started)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/demo", description="Run Amends with a year of a made-up shop in it.")
    parser.add_argument("--port", type=int, default=5000, help="the port on 127.0.0.1 (default 5000)")
    parser.add_argument("--fresh", action="store_true", help="throw the demo's data away first")
    parser.add_argument("--small", action="store_true", help="a small year: about 500 interactions")
    return parser.parse_args()


def _only_one(var: pathlib.Path) -> IO[str]:
    """Hold the demo's lock as long as this process lives, or end with a sentence."""
    lock = (var / "demo.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("The demo runs already. Its address and logins are in var/demo.json.") from None
    return lock


def _check_port(port: int) -> None:
    deadline = time.monotonic() + 5  # a web server that was just told to stop may need a moment
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"Port {port} is taken. Choose another: bin/demo --port {port + 1}") from None
        time.sleep(0.2)


def _start_servers(var: pathlib.Path, port: int) -> None:
    """Start the demo's own servers; children find the same settings in their environment."""
    from core.embedded import Embedded  # only now is it clear that servers are wanted

    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        urls = Embedded(var / "embedded").start()
        os.environ |= {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
    os.environ |= {
        "AMENDS_ENV": "demo",
        "AMENDS_VAR_DIR": str(var),
        "AMENDS_BASE_URL": f"http://127.0.0.1:{port}",
        "AMENDS_OUTCOME_DELAY_DAYS": "0",
    }


def _is_prepared() -> bool:
    """Whether the newest migration ran and a year was written, asked without loading the application."""
    import psycopg  # only now is there a server to ask

    newest = max(path.name[:4] for path in (ROOT / "migrations/versions").glob("0*.py"))
    query = "SELECT version_num FROM alembic_version WHERE EXISTS (SELECT FROM brand)"
    with psycopg.connect(os.environ["DATABASE_URL"].replace("+psycopg", "", 1)) as connection:
        try:
            found = connection.execute(query).fetchone()
        except psycopg.errors.UndefinedTable:
            return False
    return found is not None and found[0] == newest


def _application() -> Any:
    import wsgi  # after the environment is set

    return wsgi.create_app()


def _empty() -> None:
    """Throw all data away; the secrets stay."""
    from sqlalchemy import text

    from core import outbox
    from core.db import db

    db.session.execute(text("DROP SCHEMA public CASCADE"))
    db.session.execute(text("CREATE SCHEMA public"))
    db.session.commit()
    db.engine.dispose()
    outbox.connection().flushdb()


def _prepare(app: Any, *, small: bool) -> None:
    """Migrate, and write the year where there is none; in one transaction, so that a start cut off begins anew."""
    from flask_migrate import upgrade
    from sqlalchemy import select

    from cli.northwind import seed
    from core.db import db
    from customers.models import Brand

    upgrade(directory=str(ROOT / "migrations"))
    if db.session.scalar(select(Brand.id).limit(1)) is None:
        _say("Writing a year of Northwind Outdoor …")
        password = _password(app.extensions["config"].var_dir)
        written = seed.write(interactions=FEW_INTERACTIONS if small else INTERACTIONS, password=password)
        _say(f"{written:,} rows.")
    db.session.remove()
    db.engine.dispose()


def _password(var: pathlib.Path) -> str:
    path = var / "secrets" / "demo_password"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(f"northwind-{secrets.token_hex(3)}")
    return path.read_text()


def _write_logins(var: pathlib.Path, port: int) -> dict[str, Any]:
    """Write var/demo.json, readable by its owner alone, and return it."""
    from sqlalchemy import select

    from accounts import api_keys
    from accounts.models import ApiKey
    from cli.northwind.people import STAFF
    from core import clock, tokens
    from core.db import db

    path = var / "demo.json"
    secret = json.loads(path.read_text()).get("api_key", "") if path.exists() else ""
    if (
        not secret
        or db.session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == tokens.hash_secret(secret))) is None
    ):
        scopes = ["interactions:write", "metrics:read", "complaints:write", "responses:read"]
        _key, secret = api_keys.create("Demo", scopes, by=None, now=clock.now())
        db.session.commit()
    password = _password(var)
    staff = [{"email": email, "password": password, "role": role} for _, email, role in STAFF]
    handed_out = {"url": f"http://127.0.0.1:{port}", "api_key": secret, "staff": staff}
    path.touch(mode=0o600)
    path.write_text(json.dumps(handed_out, indent=1))
    db.session.remove()
    db.engine.dispose()
    return handed_out


class Children:
    """The processes that this one started; stopped together, last started first."""

    def __init__(self) -> None:
        self.web: subprocess.Popen[bytes] | None = None
        self.has_answered = False
        self.forked: list[int] = []

    def start_web(self, port: int) -> None:
        granian = pathlib.Path(sys.executable).with_name("granian")
        command = [
            granian,
            "--interface",
            "wsgi",
            "--factory",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "2",
            "--blocking-threads",
            "4",
            "--backpressure",
            "64",
        ]
        command += ["--no-access-log", "--log-level", "warning", "wsgi:create_app"]
        parent = os.getpid()
        self.web = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, preexec_fn=lambda: _end_with_parent(parent), start_new_session=True
        )

    def fork(self, run: Callable[[], None]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self.forked.append(pid)
            return
        status = 1
        try:
            os.setsid()
            _end_with_parent(parent)
            run()
            status = 0
        except KeyboardInterrupt:
            status = 0
        finally:
            os._exit(status)

    def wait(self) -> None:
        """Return when the web server ends or somebody asks us to stop."""
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        while self.is_serving():
            time.sleep(0.5)
        _say("The web server ended; stopping.")

    def is_serving(self) -> bool:
        return self.web is not None and self.web.poll() is None

    def stop(self) -> None:
        if not self.has_answered:  # a web server that still starts listens to nobody, and holds nothing yet
            self._kill_web()
        for ask in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.forked:
                _signal(pid, ask)
            if self.is_serving() and self.web is not None:
                _signal(self.web.pid, ask)
            if self._ended(within=8):
                break
        self._kill_web()

    def _kill_web(self) -> None:
        """End the web server with its own processes; one that was stopped in time has none left."""
        if self.web is not None:
            _signal(self.web.pid, signal.SIGKILL, with_its_own=True)

    def _ended(self, *, within: float) -> bool:
        until = time.monotonic() + within
        while time.monotonic() < until:
            self.forked = [pid for pid in self.forked if os.waitpid(pid, os.WNOHANG)[0] == 0]
            if not self.forked and not self.is_serving():
                return True
            time.sleep(0.05)
        return False


def _run(app: Any, command: list[str]) -> None:
    """Be a worker or the clock: the same commands as in the Procfile."""
    from core.db import db

    with app.app_context():
        db.engine.dispose(close=False)
        app.extensions["redis"].connection_pool.reset()
    app.test_cli_runner  # noqa: B018  # the commands are registered; they run under the application below
    app.cli.main(args=command, standalone_mode=False, obj=_script_info(app))


def _script_info(app: Any) -> Any:
    from flask.cli import ScriptInfo

    return ScriptInfo(create_app=lambda: app)


def _end_with_parent(parent: int) -> None:
    """Ask the kernel (Linux) to stop this process when its parent is gone, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it went before we could ask
        os._exit(1)


def _signal(pid: int, number: signal.Signals, *, with_its_own: bool = False) -> None:
    try:
        (os.killpg if with_its_own else os.kill)(pid, number)
    except ProcessLookupError:
        pass


def _wait_for(url: str, children: Children) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and children.is_serving():
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own address
                children.has_answered = True
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("The web server did not start.")


def _welcome(handed_out: dict[str, Any], took: float) -> None:
    width = min(shutil.get_terminal_size().columns, 78)
    _say("─" * width)
    _say(f"Amends runs at {handed_out['url']}  (started in {took:.1f} s; Ctrl-C stops it)")
    _say(f"Mail stays here: {handed_out['url']}/mailbox\n")
    shown = set()
    for login in handed_out["staff"]:
        if login["role"] not in shown:
            _say(f"  {login['role']:<9} {login['email']:<28} {login['password']}")
            shown.add(login["role"])
    _say(f"\n  API key   {handed_out['api_key']}")
    _say("─" * width)


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    main()
