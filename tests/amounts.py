"""How much a test tries: a few in every run, many with bin/test --all, all of it with AMENDS_TEST_FULL=1 besides."""

from __future__ import annotations

import os
from typing import Any, Final

import pytest

RUNS_FULL: Final = bool(os.environ.get("AMENDS_TEST_FULL"))
RUNS_ALL: Final = RUNS_FULL or bool(os.environ.get("AMENDS_TEST_ALL"))
STUCK_SECONDS: Final = 7200 if RUNS_FULL else 1800  # a long test that still runs then will never end


def few_or_many(few: Any, *, many: Any, full: Any) -> list[Any]:
    """Return the values of a parameter (tuples for several): `few`, and a long one, `many` unless all is asked for."""
    marks = [pytest.mark.slow, pytest.mark.timeout(STUCK_SECONDS)]
    if RUNS_FULL:
        return [_values(few, id="few"), _values(full, id="full", marks=marks)]
    return [_values(few, id="few"), _values(many, id="many", marks=marks)]


def _values(values: Any, **more: Any) -> Any:
    return pytest.param(*values, **more) if isinstance(values, tuple) else pytest.param(values, **more)
