"""Who does something to a case: a member of staff, or the word of the event log for everybody else."""

from __future__ import annotations

from accounts.models import Staff
from core import events

By = Staff | str
RULE, CUSTOMER, SYSTEM, IMPORT = "rule", "customer", "system", "import"


def actor_of(by: By) -> str:
    """Return the actor as the event log writes it."""
    return by if isinstance(by, str) else events.staff_actor(by.id)


def staff_id_of(actor: str) -> int | None:
    """Return the id of the member of staff an actor names, or None for everybody else."""
    kind, _, number = actor.partition(":")
    return int(number) if kind == "staff" and number.isdigit() else None
