"""The one place where the present is read; verbs take `now` as an argument and never come here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """Return the present as aware UTC; views, jobs and commands call this once and pass it on."""
    return datetime.now(UTC) + _offset


@contextmanager
def moved(by: timedelta) -> Iterator[None]:
    """Let tests live `by` later (or earlier) in the whole process; not for production code."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before
