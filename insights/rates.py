"""Who answers: what became of invitations, by channel, in the words and formulas of AAPOR's Standard Definitions.

An invitation's end is known only weeks later, so days are counted anew while they can change (`recount`); pages read
the counts. Outcome checks are no part of it: they go to people who answered once already. Of who began and did not
finish, the count names the last question that was answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, func, select, text

from core.db import db
from insights.metrics import Asked
from insights.models import EVERY_TIER, Invited
from surveys.scoring import FEW, wilson

CHANGES_FOR: Final = timedelta(days=45)  # a link works for thirty days, and some answers come in late
LATELY: Final = timedelta(days=1)


class Outcome(StrEnum):
    """What became of an invitation; `skipped` is an interaction that led to none."""

    COMPLETE = "complete"
    PARTIAL = "partial"  # begun and not finished: at least half of the questions that applied
    BREAK_OFF = "break_off"  # less
    BOUNCED = "bounced"  # not contacted
    SILENT = "silent"  # unknown
    SCREENED_OUT = "screened_out"  # not eligible
    WAITING = "waiting"
    REVOKED = "revoked"
    SKIPPED = "skipped"


ASKED_OF: Final = (Outcome.COMPLETE, Outcome.PARTIAL, Outcome.BREAK_OFF, Outcome.BOUNCED, Outcome.SILENT)
"""The denominator of both rates: complete + partial + refused + not contacted + unknown. Breaking off is refusing."""


@dataclass(frozen=True)
class Rate:
    """One channel's invitations by outcome."""

    channel: str
    counts: dict[str, int]

    @property
    def invited(self) -> int:
        return sum(self.counts.get(outcome, 0) for outcome in ASKED_OF)

    @property
    def answered(self) -> int:
        return self.counts.get(Outcome.COMPLETE, 0)

    @property
    def started(self) -> int:
        return self.answered + self.partial + self.counts.get(Outcome.BREAK_OFF, 0)

    @property
    def partial(self) -> int:
        return self.counts.get(Outcome.PARTIAL, 0)

    @property
    def bounced(self) -> int:
        return self.counts.get(Outcome.BOUNCED, 0)

    @property
    def few(self) -> bool:
        return self.invited < FEW

    @property
    def rr1(self) -> float | None:
        """The response rate RR1 from 0 to 1: complete / (complete + partial + refused + not contacted + unknown).

        None where fewer than 30 were invited. Source: AAPOR Standard Definitions, 10th edition.
        """
        return None if self.few else self.answered / self.invited

    @property
    def rr2(self) -> float | None:
        """The response rate RR2: the same with partials counted as answers."""
        return None if self.few else (self.answered + self.partial) / self.invited

    @property
    def interval(self) -> tuple[float, float] | None:
        """RR1's 95 % interval (Wilson) as two shares from 0 to 1."""
        return None if self.few else wilson(self.answered, self.invited)

    @property
    def completion(self) -> float | None:
        """The completion rate from 0 to 1: complete / started; None where fewer than 30 started."""
        return None if self.started < FEW else self.answered / self.started


@dataclass(frozen=True)
class Rates:
    """The invitations of a period by channel, together, and how many interactions were skipped, by reason."""

    channels: tuple[Rate, ...]
    together: Rate
    skipped: dict[str, int] = field(default_factory=dict)
    left: dict[int, dict[str, int]] = field(default_factory=dict)  # by survey: after which question how many left
    complete: dict[int, int] = field(default_factory=dict)  # by survey


def rates(asked: Asked) -> Rates:
    """Return who answers, from one statement over the counts; the metric plays no part."""
    columns = (Invited.survey_id, Invited.channel, Invited.outcome, Invited.reason)
    query = select(*columns, func.sum(Invited.count)).where(*_restrictions(asked)).group_by(*columns)
    by_channel: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    together: dict[str, int] = defaultdict(int)
    skipped: dict[str, int] = defaultdict(int)
    left: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    complete: dict[int, int] = defaultdict(int)
    for survey_id, channel, outcome, reason, count in db.session.execute(query):
        if outcome == Outcome.SKIPPED:
            skipped[reason] += int(count)
        else:
            by_channel[channel][outcome] += int(count)
            together[outcome] += int(count)
        if outcome in (Outcome.PARTIAL, Outcome.BREAK_OFF):
            left[survey_id][reason] += int(count)
        elif outcome == Outcome.COMPLETE:
            complete[survey_id] += int(count)
    every = sorted((Rate(channel, dict(counts)) for channel, counts in by_channel.items()), key=_most_first)
    ranked = dict(sorted(skipped.items(), key=lambda item: (-item[1], item[0])))
    return Rates(tuple(every), Rate("", dict(together)), ranked, dict(left), dict(complete))


def _most_first(rate: Rate) -> tuple[int, str]:
    return (-rate.invited, rate.channel)


def _restrictions(asked: Asked) -> Iterable[ColumnElement[bool]]:
    yield Invited.day.between(asked.start, asked.end)
    for column, wanted in (
        (Invited.survey_id, asked.survey_ids),
        (Invited.touchpoint_id, asked.touchpoint_ids),
        (Invited.brand_id, asked.brand_ids),
        (Invited.channel, asked.channels),
        (Invited.language, asked.languages),
        (Invited.tier, asked.tiers or (EVERY_TIER,)),
    ):
        if wanted:
            yield column.in_(wanted)


# Counting

_KEY: Final = "day, brand_id, survey_id, touchpoint_id, channel, language, tier, outcome, reason"
_COUNT: Final = text(f"""
    INSERT INTO rollup_invited ({_KEY}, count)
    SELECT {_KEY}, count(*) FROM (SELECT day, brand_id, survey_id, touchpoint_id, channel, language, t.tier, outcome,
           CASE WHEN outcome IN ('skipped', 'partial', 'break_off') THEN reason ELSE '' END AS reason FROM (
        SELECT (i.created_at AT TIME ZONE b.zone)::date AS day, b.id AS brand_id, i.survey_id,
               coalesce(i.touchpoint_id, 0) AS touchpoint_id, i.channel, i.language,
               coalesce(nullif(c.tier, '*'), '') AS own_tier,
               CASE WHEN i.state = 'skipped' THEN 'skipped'
                    WHEN r.state = 'complete' THEN 'complete'
                    WHEN r.state = 'screened_out' THEN 'screened_out'
                    WHEN r.id IS NOT NULL THEN 'partial'
                    WHEN i.state = 'revoked' THEN 'revoked'
                    WHEN i.state = 'waiting' THEN 'waiting'
                    WHEN m.state IN ('bounced', 'dropped', 'failed', 'suppressed') THEN 'bounced'
                    WHEN i.partial <> '{{}}' AND i.half_answered THEN 'partial'
                    WHEN i.partial <> '{{}}' THEN 'break_off'
                    ELSE 'silent' END AS outcome,
               CASE WHEN i.state = 'skipped' THEN 'looked_again'
                    WHEN i.partial <> '{{}}' OR r.state = 'partial' THEN coalesce((
                        SELECT e.question ->> 'key' FROM survey_version v,
                               jsonb_array_elements(v.definition -> 'questions') WITH ORDINALITY e (question, place)
                        WHERE v.id = i.version_id
                              AND jsonb_exists(coalesce(r.answers, i.partial), e.question ->> 'key')
                        ORDER BY e.place DESC LIMIT 1), '')
                    ELSE '' END AS reason
        FROM invitation i
        JOIN survey s ON s.id = i.survey_id
        LEFT JOIN touchpoint t ON t.id = i.touchpoint_id
        JOIN brand b ON b.id = coalesce(t.brand_id, s.brand_id)
        LEFT JOIN response r ON r.invitation_id = i.id
        LEFT JOIN message m ON m.id = i.message_id
        LEFT JOIN customer c ON c.id = i.customer_id
        WHERE i.outcome_check_id IS NULL AND i.created_at >= CAST(:start AS date) - interval '1 day'
              AND i.created_at < CAST(:end AS date) + interval '2 days'
        UNION ALL
        SELECT (d.decided_at AT TIME ZONE b.zone)::date, b.id, 0, t.id, '', '', coalesce(nullif(c.tier, '*'), ''),
               'skipped', d.rule
        FROM decision d
        JOIN interaction x ON x.id = d.interaction_id
        JOIN touchpoint t ON t.id = x.touchpoint_id
        LEFT JOIN customer c ON c.id = x.customer_id
        JOIN brand b ON b.id = t.brand_id
        WHERE d.outcome = 'skipped' AND d.decided_at >= CAST(:start AS date) - interval '1 day'
              AND d.decided_at < CAST(:end AS date) + interval '2 days'
    ) every CROSS JOIN LATERAL (VALUES (own_tier), ('*')) t (tier)) found
    WHERE day BETWEEN :start AND :end
    GROUP BY {_KEY}
""")  # noqa: S608  # composed of the constants above


def recount(start: date, end: date) -> int:
    """Count the days from `start` to `end` anew in the caller's transaction; return how many rows they have."""
    # One at a time: two counts of the same day would both find it empty.
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('rollup_invited'))"))
    days = {"start": start, "end": end}
    db.session.execute(text("DELETE FROM rollup_invited WHERE day BETWEEN :start AND :end"), days)
    return cast("CursorResult[Any]", db.session.execute(_COUNT, days)).rowcount


def recount_lately(*, now: datetime) -> int:
    """Count the newest days anew; for every few minutes."""
    return recount((now - LATELY).date(), (now + LATELY).date())


def recount_changing(*, now: datetime) -> int:
    """Count every day anew whose invitations can still be answered; for every few hours."""
    return recount((now - CHANGES_FOR).date(), (now + LATELY).date())
