"""Whether the database is as this version of the code needs it: asked before each command, and by /readyz.

An older one lacks columns: every statement about them would fail, each with a fault of its own. A newer one is as a
release leaves it until the last old process has ended: those go on, but nobody begins something with old code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import click
import structlog
from alembic.script import ScriptDirectory
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from core.db import db

log = structlog.get_logger(__name__)
MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
MIGRATE: Final = "flask --app wsgi db upgrade"


class Unfit(click.ClickException):
    """The database is not the one that this code needs; says what to run."""


def found() -> str | None:
    """Return the version of the database, or None where it was never migrated. Raises OperationalError."""
    try:
        with db.engine.connect() as connection:
            version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError:
        return None
    return version


def is_behind(version: str | None) -> bool:
    """Whether a database of this version lacks what this code needs; one that we do not know is newer."""
    return version is None or (version in _known() and version != wanted())


@lru_cache(maxsize=1)
def wanted() -> str:
    """Return the version that this code needs."""
    return str(ScriptDirectory(str(MIGRATIONS)).get_current_head())


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def check(*, goes_on: bool) -> None:
    """Raise Unfit unless the database is as this code needs it.

    What `goes_on` (a worker, the clock) outlives an outage of the database, and a release of a newer version.
    """
    try:
        version = found()
    except OperationalError:
        if goes_on:
            return
        raise Unfit("The database does not answer. Is it running, and is DATABASE_URL right?") from None
    if version is None:
        raise Unfit(f"The database is not set up yet. Run this first: {MIGRATE}")
    if is_behind(version):
        raise Unfit(f"The database is at version {version}, and this code needs {wanted()}. Run this first: {MIGRATE}")
    if version != wanted() and not goes_on:
        raise Unfit(
            f"The database is at version {version}, which is newer than this code ({wanted()}). Run the command with"
            " the newer code."
        )
    if version != wanted():
        log.warning("database_is_newer", version=version, code=wanted())


def guard(app: Flask, *, going_on: Collection[str]) -> None:
    """Have every command look at the database first; those in `going_on` are processes rather than one act."""
    _guard(app.cli, going_on)


def _guard(group: click.Group, going_on: Collection[str]) -> None:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            _guard(command, going_on)
        elif command.callback is not None and not isinstance(command.callback, _LooksFirst):
            command.callback = _LooksFirst(command.callback, name in going_on)


@dataclass(frozen=True)
class _LooksFirst:
    act: Callable[..., Any]
    goes_on: bool

    def __call__(self, *args: Any, **named: Any) -> Any:
        with_appcontext(check)(goes_on=self.goes_on)
        return self.act(*args, **named)
