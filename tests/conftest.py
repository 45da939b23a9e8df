"""What every test may ask for. Who asks for `app`, or for what builds on it, has an app context and clean servers."""

import os
import random
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page, expect, sync_playwright
from redis import Redis
from sqlalchemy import text
from werkzeug.serving import make_server

from core import clock
from core.config import Config, Environment
from core.db import db
from tests.amounts import RUNS_ALL
from tests.client import Client, count_queries, watch_for_uncommitted
from tests.servers import Slot, slot

__all__ = ["count_queries"]

SECRET = "a secret of tests alone with 32 characters or more"
BROWSER_MS = 120_000  # what never comes fails before the test's own time-out, which would not say what was waited for
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A machine that is busy is slow at drawing examples, too: neither is a fault of what is tested. A test that takes a
# fixture begins each example with it as the last one left it, and says so by its name.
settings.register_profile(
    "amends", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("amends")


def data_folder() -> Path | None:
    """Return the folder of real data, or None; in CI it must be there."""
    named = os.environ.get("AMENDS_TEST_DATA")
    if named and Path(named).is_dir():
        return Path(named).absolute()
    if os.environ.get("CI"):
        raise pytest.UsageError(
            f"AMENDS_TEST_DATA is {named!r}, which is no folder; in CI the real data must be there."
        )
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "let each test begin at this moment (UTC), for example 2026-12-31T23:58"
    parser.addoption("--at", metavar="MOMENT", help=words)


@pytest.fixture(autouse=True)
def at(request: pytest.FixtureRequest) -> Iterator[None]:
    """Begin at another moment where the command says so: at the end of a year, while the clocks change, on a Sunday."""
    typed = request.config.getoption("--at")
    later = datetime.fromisoformat(typed).replace(tzinfo=UTC) - clock.now() if typed else timedelta()
    with clock.moved(later):
        yield


@pytest.fixture
def fresh_minute(at: None) -> Iterator[None]:
    """A minute of the clock that has just begun, for what is counted by the minute."""
    now = clock.now()
    since = timedelta(seconds=now.second, microseconds=now.microsecond)
    with clock.moved(timedelta(minutes=1) - since):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = data_folder()
    for item in items:
        if not RUNS_ALL and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="long; runs with bin/test --all"))
        if folder is None and item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason="AMENDS_TEST_DATA names no folder of real data"))
    # Shuffled before. What takes long begins first, so that several processes end together.
    items.sort(key=takes_long, reverse=True)


def takes_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "journey", "fault"))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance of this run and this test; `bin/test --randomly-seed=N` draws the same again."""
    seed = request.config.getoption("randomly_seed", default=0)
    print(f"drawn with --randomly-seed={seed}")
    return random.Random(f"{seed}:{request.node.name}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data. Mark such tests with `data`; elsewhere they are skipped."""
    folder = data_folder()
    if folder is None:
        pytest.skip("AMENDS_TEST_DATA names no folder of real data")
    return folder


@pytest.fixture(scope="session")
def door() -> Iterator[socket.socket]:
    """The socket that `live_server` serves; bound first, so that the configuration knows its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="session")
def secrets(door: socket.socket) -> dict[str, str]:
    """The settings of a test installation, without its servers."""
    return {
        "AMENDS_ENV": "test",
        "AMENDS_BASE_URL": f"http://127.0.0.1:{door.getsockname()[1]}",
        "SECRET_KEY": SECRET,
        "AMENDS_LINK_KEYS": f"1:{SECRET}",
    }


@pytest.fixture(scope="session")
def servers() -> Iterator[Slot]:
    """A migrated database and a Redis for this pytest process alone."""
    with slot() as mine:
        yield mine


@pytest.fixture(scope="session")
def environment(secrets: dict[str, str], servers: Slot) -> dict[str, str]:
    """The environment for a process of ours (a worker, a command) on this test run's servers."""
    own = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    return {**os.environ, **secrets, **own}


@pytest.fixture(scope="session")
def config(secrets: dict[str, str], servers: Slot, tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Config(
        environment=Environment.TEST,
        secret_key=SECRET,
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        base_url=secrets["AMENDS_BASE_URL"],
        link_keys=((1, SECRET),),
        trusted_hosts=("localhost", "127.0.0.1"),
        var_dir=tmp_path_factory.mktemp("var"),
        log_level="warning",
    )


@pytest.fixture(scope="session")
def the_app(config: Config) -> Iterator[Flask]:
    from wsgi import create_app  # late: tests of a single room run while another one cannot be imported

    app = create_app(config)
    app.testing = True
    app.test_client_class = Client
    watch_for_uncommitted(app)
    yield app
    with app.app_context():
        db.engine.dispose()
    app.extensions["redis"].close()


@pytest.fixture
def app(the_app: Flask) -> Iterator[Flask]:
    """The application, with an app context pushed for the test; threads of a test push their own."""
    with the_app.app_context():
        yield the_app
        db.session.remove()
        empty_database()
    redis: Redis = the_app.extensions["redis"]
    redis.flushdb()


@pytest.fixture
def client(app: Flask) -> Client:
    """A browser without JavaScript: see tests/client.py for what it checks. `app.test_client()` makes another one."""
    client = app.test_client()
    assert isinstance(client, Client)
    return client


def empty_database() -> None:
    """Delete every row: in one transaction and without triggers, which for a few rows is far faster than TRUNCATE."""
    names = [table.name for table in db.metadata.sorted_tables]
    found = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in names)
    with db.engine.begin() as connection:
        used = connection.execute(text(found)).scalars().all()
        if used:
            deletes = "; ".join(f'DELETE FROM "{name}"' for name in used)
            settings = "SET LOCAL lock_timeout = '100s'; SET LOCAL session_replication_role = replica"
            connection.execute(text(f"{settings}; {deletes}"))


@pytest.fixture
def moved_clock() -> Iterator[Callable[[timedelta], None]]:
    """Return a function that moves the process's clock by a timedelta until the test ends."""
    with ExitStack() as moves:
        yield lambda by: moves.enter_context(clock.moved(by))


@pytest.fixture
def live_server(app: Flask, door: socket.socket) -> Iterator[str]:
    """Serve the application on a real socket, in threads of this process; return its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, fd=os.dup(door.fileno()))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def chromium() -> str:
    """Return the browser's path."""
    names = [os.environ.get("AMENDS_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome"]
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        pytest.fail("No Chromium on this machine: bin/test installs it on Debian, or set AMENDS_CHROMIUM to its path.")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=BROWSER_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live_server: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page at `live_server`. A test's parametrized `browser_options` go to the browser's context."""
    # At rest: colours half way through a transition are nobody's, and axe would measure them on a slow machine.
    options: dict[str, Any] = {"base_url": live_server, "reduced_motion": "reduce"}
    if "browser_options" in request.fixturenames:
        options |= request.getfixturevalue("browser_options")
    context = browser.new_context(**options)
    context.set_default_timeout(BROWSER_MS)
    yield context.new_page()
    context.close()
