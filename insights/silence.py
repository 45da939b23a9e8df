"""Who fell silent: asked, and no answer before the link ran out. Counted as moves, beside those from answer to answer.

Who is silent is said in surveys.silence. A silence counts on the day on which the link ran out; after recovery it is
the outcome check's own end that counts.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, text

from core.db import db
from feedback.outcome import SILENT_AFTER
from surveys import scoring
from surveys.silence import is_silent

SILENT: Final = "silent"
CHANGES_FOR: Final = timedelta(days=3)  # the clock ends links within minutes; a bounce may come in late
KEY: Final = "day, brand_id, survey_id, metric, touchpoint_id, channel, language, tier, route, was, became"


def band_of(metric: str, score: str) -> str:
    """Return the SQL for the band of a score, from the scales that all of us go by."""
    cases = (
        f"WHEN {metric} = '{known}' AND {score} = {value} THEN '{scoring.band(known, value)}'"
        for known in scoring.METRICS
        for value in range(scoring.SCALES[known][0], scoring.SCALES[known][1] + 1)
    )
    return f"CASE {' '.join(cases)} END"


def metric_of(version: str) -> str:
    """Return the SQL for the metric of a version's main question, its first scored one."""
    kinds = ", ".join(f"'{metric}'" for metric in scoring.METRICS)
    return f"""(
        SELECT e.question ->> 'kind' FROM survey_version asks,
               jsonb_array_elements(asks.definition -> 'questions') WITH ORDINALITY e (question, place)
        WHERE asks.id = {version} AND e.question ->> 'kind' IN ({kinds}) ORDER BY e.place LIMIT 1
    )"""  # noqa: S608  # constants


def before(*, customer: str, metric: str, at: str) -> str:
    """Return the SQL for the last silence of a customer until a moment: (was, at), at most one row."""
    return f"""
        SELECT '{SILENT}' AS was, j.expires_at AS at FROM invitation j
        WHERE j.customer_id = {customer} AND j.expires_at <= {at} AND {is_silent("j")}
              AND {metric_of("j.version_id")} = {metric}
        ORDER BY j.expires_at DESC LIMIT 1"""  # noqa: S608  # constants


_LATER: Final = f"""
    SELECT (i.expires_at AT TIME ZONE b.zone)::date AS day, b.id AS brand_id, i.survey_id, i.metric,
           coalesce(i.touchpoint_id, 0) AS touchpoint_id, i.channel, i.language,
           coalesce(nullif(c.tier, '*'), '') AS own_tier, 'later' AS route, last.was
    FROM (
        SELECT *, {metric_of("invitation.version_id")} AS metric FROM invitation
        WHERE expires_at >= CAST(:start AS date) - interval '1 day' AND expires_at <= :now
              AND expires_at < CAST(:end AS date) + interval '2 days' AND customer_id IS NOT NULL
    ) i
    JOIN survey s ON s.id = i.survey_id
    LEFT JOIN touchpoint t ON t.id = i.touchpoint_id
    JOIN brand b ON b.id = coalesce(t.brand_id, s.brand_id)
    LEFT JOIN customer c ON c.id = i.customer_id
    CROSS JOIN LATERAL (
        SELECT was FROM (
            (SELECT {band_of("p.metric", "p.score")} AS was, p.answered_at AS at FROM response p
             WHERE p.customer_id = i.customer_id AND p.answered_at < i.created_at AND p.metric = i.metric
                   AND p.score IS NOT NULL
             ORDER BY p.answered_at DESC, p.id DESC LIMIT 1)
            UNION ALL
            ({before(customer="i.customer_id", metric="i.metric", at="i.created_at")})
        ) known ORDER BY at DESC LIMIT 1
    ) last
    WHERE {is_silent("i")}
"""  # noqa: S608  # constants
_RECOVERY: Final = f"""
    SELECT ((k.due_at + CAST(:after AS interval)) AT TIME ZONE b.zone)::date, b.id,
           coalesce(x.survey_id, i.survey_id, 0), coalesce(x.metric, {metric_of("i.version_id")}),
           coalesce(x.touchpoint_id, 0), coalesce(i.channel, 'email'), x.language, coalesce(nullif(c.tier, '*'), ''),
           'recovery', 'negative'
    FROM outcome_check k
    JOIN "case" x ON x.id = k.case_id
    JOIN brand b ON b.id = x.brand_id
    LEFT JOIN customer c ON c.id = x.customer_id
    LEFT JOIN invitation i ON i.outcome_check_id = k.id
    WHERE k.state = 'silent' AND k.due_at >= CAST(:start AS date) - interval '1 day' - CAST(:after AS interval)
          AND k.due_at < CAST(:end AS date) + interval '2 days' - CAST(:after AS interval)
"""  # noqa: S608  # constants
_COUNT: Final = text(f"""
    INSERT INTO rollup_move ({KEY}, count)
    SELECT day, brand_id, survey_id, metric, touchpoint_id, channel, language, tier, route, was, '{SILENT}', count(*)
    FROM ({_LATER} UNION ALL {_RECOVERY}) fallen
         CROSS JOIN LATERAL (VALUES (own_tier), ('*')) t (tier)
    WHERE day BETWEEN :start AND :end AND metric IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
""")  # noqa: S608  # composed of the constants above


def recount(start: date, end: date, *, now: datetime) -> int:
    """Count the silences of the days from `start` to `end` anew in the caller's transaction; return how many rows."""
    # One at a time: two counts of the same day would both find it empty.
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('rollup_move.silent'))"))
    days = {"start": start, "end": end}
    gone = text(f"DELETE FROM rollup_move WHERE became = '{SILENT}' AND day BETWEEN :start AND :end")  # noqa: S608
    db.session.execute(gone, days)
    done = db.session.execute(_COUNT, days | {"now": now, "after": SILENT_AFTER})
    return cast("CursorResult[Any]", done).rowcount


def recount_lately(*, now: datetime) -> int:
    """Count the newest days anew; for every hour."""
    return recount((now - CHANGES_FOR).date(), (now + timedelta(days=1)).date(), now=now)
