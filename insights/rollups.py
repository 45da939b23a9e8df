"""Taking answers into the roll-ups: each exactly once, many in one statement, and rebuildable from the rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import CursorResult, text

from core.db import db

BATCH: Final = 5000

# A response's day is its brand's. Each scored question counts: the main one in columns, further ones in `scores`.
_SCORED: Final = """
    SELECT (r.answered_at AT TIME ZONE b.zone)::date AS day, r.brand_id, r.survey_id, r.version_id, s.question,
           s.metric, coalesce(r.touchpoint_id, 0) AS touchpoint_id, r.channel, r.language, 0 AS team_id,
           CASE WHEN r.outcome_check_id IS NULL THEN 'first' ELSE 'outcome' END AS kind, s.score, count(*) AS count
    FROM {source} r JOIN brand b ON b.id = r.brand_id
    CROSS JOIN LATERAL (
        SELECT r.question, r.metric, r.score WHERE r.score IS NOT NULL
        UNION ALL
        SELECT f.key, f.value ->> 'metric', CAST(f.value ->> 'score' AS smallint) FROM jsonb_each(r.scores) f
    ) s (question, metric, score)
    {where}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
"""
_KEY: Final = (
    "day, brand_id, survey_id, version_id, question, metric, touchpoint_id, channel, language, team_id, kind, score"
)
_COLUMNS: Final = f"{_KEY}, count"

_FOLD: Final = text(f"""
    WITH batch AS (
        SELECT id FROM response WHERE folded_at IS NULL ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE response SET folded_at = :now FROM batch WHERE response.id = batch.id RETURNING response.*
    ), counted AS ({_SCORED.format(source="taken", where="")}), put AS (
        INSERT INTO rollup ({_COLUMNS}) SELECT {_COLUMNS} FROM counted ORDER BY {_KEY}
        ON CONFLICT ({_KEY}) DO UPDATE SET count = rollup.count + excluded.count
    )
    SELECT count(*) FROM taken
""")  # noqa: S608  # composed of the constants above

_REBUILD: Final = text(f"""
    INSERT INTO rollup ({_COLUMNS}) SELECT {_COLUMNS} FROM (
        {
    _SCORED.format(
        source="response",
        where='''WHERE r.folded_at IS NOT NULL
            AND r.answered_at >= CAST(:day AS date) - interval '1 day'
            AND r.answered_at < CAST(:day AS date) + interval '2 days'
            AND (r.answered_at AT TIME ZONE b.zone)::date = CAST(:day AS date)''',
    )
}
    ) counted
""")  # noqa: S608  # composed of the constants above


def fold(*, now: datetime, limit: int = BATCH) -> int:
    """Take up to `limit` new responses into the roll-ups in the caller's transaction; return how many.

    One statement marks and counts them, so a response is never counted twice, however many folds run at once.
    """
    return int(db.session.execute(_FOLD, {"now": now, "limit": limit}).scalar_one())


def rebuild(day: date) -> int:
    """Count one day anew from its responses (those that were taken in); return how many roll-up rows it has."""
    db.session.execute(text("LOCK TABLE rollup IN SHARE ROW EXCLUSIVE MODE"))  # no fold adds to the day meanwhile
    db.session.execute(text("DELETE FROM rollup WHERE day = :day"), {"day": day})
    return cast("CursorResult[Any]", db.session.execute(_REBUILD, {"day": day})).rowcount
