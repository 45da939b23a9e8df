"""A database that is not migrated, or for another version of the code, is told in a sentence that says what to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from core import schema
from core.db import db
from tests.client import Client

Be = Callable[[str | None], None]


@pytest.fixture
def be(app: Flask) -> Iterator[Be]:
    """Return a function that makes the database one of another version, or one that was never migrated."""

    def become(version: str | None) -> None:
        with db.engine.begin() as connection:
            if version is None:
                connection.execute(text("ALTER TABLE alembic_version RENAME TO alembic_version_away"))
            else:
                connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})

    yield become
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE IF EXISTS alembic_version_away RENAME TO alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": schema.wanted()})


COMMANDS = (
    ("customers", "erase", "C-1", "--yes"),
    ("insights", "recount", "--from", "2026-01-01", "--to", "2026-01-02"),
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, f"The database is not set up yet. Run this first: {schema.MIGRATE}"),
        ("0009", f"at version 0009, and this code needs {schema.wanted()}. Run this first: {schema.MIGRATE}"),
        ("9999", f"at version 9999, which is newer than this code ({schema.wanted()}). Run the command with the newer"),
    ],
)
def test_a_command_says_what_to_run(app: Flask, be: Be, version: str | None, said: str, command: tuple[str]) -> None:
    be(version)

    result = app.test_cli_runner().invoke(args=command)

    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_worker_of_the_old_code_goes_on_after_a_release_and_refuses_a_database_that_is_behind(
    app: Flask, be: Be
) -> None:
    be("9999")
    schema.check(goes_on=True)

    be("0009")
    with pytest.raises(schema.Unfit):
        schema.check(goes_on=True)


def test_help_asks_no_database(app: Flask, be: Be) -> None:
    be(None)

    assert app.test_cli_runner().invoke(args=["customers", "erase", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("version", "status", "migrated"), [(None, 503, False), ("0009", 503, False), ("9999", 200, True)]
)
def test_readyz_tells_whether_the_database_is_migrated(
    client: Client, be: Be, version: str | None, status: int, migrated: bool
) -> None:
    assert client.get("/readyz").json == {"database": True, "migrated": True, "redis": True}

    be(version)

    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (status, {"database": True, "migrated": migrated, "redis": True})
