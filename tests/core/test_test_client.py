"""The tests' own tools: a client that lets a forgotten commit pass, or a database left dirty, would hide faults."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask, abort
from playwright.sync_api import Page
from redis import Redis
from sqlalchemy import func, select, text

from core import clock
from core.db import db
from core.files import File, keep
from tests.axe import violations
from tests.client import Client, count_queries, watch_for_uncommitted
from tests.servers import Slot


def write() -> File:
    return keep(b"a", name="a.txt", content_type="text/plain", now=clock.now())


def stored() -> int:
    return db.session.scalar(select(func.count()).select_from(File)) or 0


def forgets() -> str:
    write()
    return "done"


def adds() -> str:
    db.session.add(File(name="b"))
    return "done"


def commits() -> str:
    write()
    db.session.commit()
    return "done"


def refuses() -> str:
    write()
    abort(409)


def reads() -> str:
    return str(stored())


@pytest.fixture
def small(servers: Slot) -> Iterator[Client]:
    """A client of an application whose views commit, or forget to."""
    app = Flask("small")
    app.config["SQLALCHEMY_DATABASE_URI"] = servers.database_url
    db.init_app(app)
    watch_for_uncommitted(app)
    for view in (forgets, adds, commits, refuses, reads):
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["POST"])
    app.test_client_class = Client
    client = app.test_client()
    assert isinstance(client, Client)
    yield client
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("path", ["/forgets", "/adds"])
def test_an_answer_that_leaves_changes_uncommitted_fails(app: Flask, small: Client, path: str) -> None:
    with pytest.raises(AssertionError, match="left uncommitted"):
        small.post(path)


@pytest.mark.parametrize(("path", "status"), [("/commits", 200), ("/refuses", 409), ("/reads", 200)])
def test_an_answer_that_commits_refuses_or_only_reads_passes(app: Flask, small: Client, path: str, status: int) -> None:
    assert small.post(path).status_code == status


def test_a_request_sees_what_the_test_arranged_and_the_test_sees_what_the_request_stored(
    app: Flask, small: Client
) -> None:
    file = write()
    file.name = "changed"

    assert small.post("/reads").text == "1"
    small.post("/commits")

    assert stored() == 2


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_starts_with_empty_servers(app: Flask, turn: int) -> None:
    redis: Redis = app.extensions["redis"]
    assert stored() == 0
    assert redis.dbsize() == 0

    write()
    db.session.commit()
    redis.set("left", turn)


def test_every_statement_is_counted(app: Flask) -> None:
    with count_queries() as queries:
        db.session.execute(text("SELECT 1"))
        stored()

    assert queries.count == 2
    assert queries[0] == "SELECT 1"


@pytest.mark.parametrize("turn", [1, 2])
def test_the_moved_clock_returns_after_the_test(moved_clock: Callable[[timedelta], None], turn: int) -> None:
    before = clock.now()

    moved_clock(timedelta(days=3))

    assert timedelta(days=3) <= clock.now() - before < timedelta(days=3, hours=1)


@pytest.mark.journey
def test_axe_tells_what_keeps_people_out(page: Page) -> None:
    page.set_content(
        '<html lang="en"><title>x</title><main><h1>x</h1><input><p style="color: #eee">pale words</p></main></html>'
    )

    assert [(rule, len(elements)) for rule, elements in violations(page)] == [("color-contrast", 1), ("label", 1)]


@pytest.mark.journey
def test_a_browser_reaches_the_live_server(page: Page) -> None:
    answer = page.goto("/healthz")

    assert answer is not None
    assert answer.status == 200
