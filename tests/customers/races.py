"""Two at once, each with a connection of their own: the second is let go until it waits for a row of the first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import text

from core.db import db


class Other(threading.Thread):
    """A thread with an app context; what it returned or raised is in `result` once it is joined."""

    def __init__(self, app: Flask, act: Callable[[], Any]) -> None:
        super().__init__()
        self.app, self.act = app, act
        self.result: Any = None

    def run(self) -> None:
        with self.app.app_context():
            try:
                self.result = self.act()
                db.session.commit()
            except Exception as error:
                db.session.rollback()
                self.result = error
            finally:
                db.session.remove()

    def is_held_up(self) -> bool:
        """Wait until it waits for a lock; False if it ended without one."""
        while self.is_alive() and not _somebody_waits():
            self.join(0.02)
        return self.is_alive()


@contextmanager
def meanwhile(app: Flask, act: Callable[[], Any]) -> Iterator[Other]:
    """Run `act` beside the block, which must let it go on in the end; both are over afterwards."""
    other = Other(app, act)
    other.start()
    try:
        yield other
    finally:
        db.session.rollback()  # whatever happened in the block, the other one must not wait for ever
        other.join()
        db.session.expire_all()


def _somebody_waits() -> bool:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with db.engine.connect() as connection:
        return bool(connection.scalar(query))
