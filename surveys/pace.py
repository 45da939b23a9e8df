"""How often one address may fill in an open form: generous."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core import pace
from core.pace import TooFast

__all__ = ["PER_MINUTE", "TooFast", "check"]
PER_MINUTE: Final = 20  # a family, a shop's tablet or an office behind one address stays below


def check(place: str, address: str, *, now: datetime) -> None:
    """Count one try at `place` from a network address. Raises TooFast; answers are taken while Redis is away."""
    pace.check(place, address, most=PER_MINUTE, now=now)
