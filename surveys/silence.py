"""Who is silent: asked, and no answer before the link ran out. The one place that says so, for figures and for rules.

It is asked of the invitations and kept nowhere, so that an answer, a late bounce or a merged record ends it by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import text

from core import conditions
from core.db import db
from surveys.models import InvitationRule


def is_silent(invitation: str) -> str:
    """Return the SQL for whether an invitation, whose time is over, met with silence.

    Who answered any other survey of ours meanwhile is not silent, nor is who began this one or never got our mail.
    """
    i = invitation
    return f"""{i}.outcome_check_id IS NULL AND {i}.sent_at IS NOT NULL AND {i}.state IN ('sent', 'expired')
        AND {i}.partial = '{{}}'
        AND NOT EXISTS (SELECT FROM message m WHERE m.id = {i}.message_id
                        AND m.state IN ('bounced', 'dropped', 'failed', 'suppressed'))
        AND NOT EXISTS (SELECT FROM response a WHERE a.customer_id = {i}.customer_id
                        AND a.answered_at >= {i}.created_at AND a.answered_at < {i}.expires_at)"""  # noqa: S608


_SILENT = text(f"""
    SELECT DISTINCT j.customer_id FROM invitation j
    WHERE j.customer_id = ANY(:customers) AND j.expires_at <= :now AND {is_silent("j")}
          AND NOT EXISTS (SELECT FROM response later WHERE later.customer_id = j.customer_id
                          AND later.answered_at >= j.expires_at AND later.answered_at <= :now)
""")  # noqa: S608  # composed of the constant above


def silent_among(customer_ids: Collection[int], *, now: datetime) -> frozenset[int]:
    """Return who of these is silent today, in one statement: their last link ran out, and they said nothing since."""
    if not customer_ids:
        return frozenset()
    return frozenset(db.session.scalars(_SILENT, {"customers": list(customer_ids), "now": now}))


def is_asked_about(rules: Iterable[InvitationRule | None]) -> bool:
    """Whether any of these rules looks at what a customer is today; only then is it worth a statement."""
    trees = (rule.conditions for rule in rules if rule is not None and rule.conditions)
    return any("profile" in conditions.fields(conditions.parse(tree)) for tree in trees)
