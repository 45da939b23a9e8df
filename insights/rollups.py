"""Taking answers into the roll-ups: each exactly once, many in one statement, and rebuildable from the rows."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import CursorResult, text

from core.db import db
from insights import silence

BATCH: Final = 5000

# A response's day is its brand's. Each scored question counts: the main one in columns, further ones in `scores`.
_SCORED: Final = """
    SELECT (r.answered_at AT TIME ZONE b.zone)::date AS day, r.brand_id, r.survey_id, r.version_id, s.question,
           s.metric, coalesce(r.touchpoint_id, 0) AS touchpoint_id, r.channel, r.language, t.tier,
           0 AS team_id, CASE WHEN r.outcome_check_id IS NULL THEN 'first' ELSE 'outcome' END AS kind, s.score,
           count(*) AS count
    FROM {source} r JOIN brand b ON b.id = r.brand_id
    CROSS JOIN LATERAL (
        SELECT r.question, r.metric, r.score WHERE r.score IS NOT NULL
        UNION ALL
        SELECT f.key, f.value ->> 'metric', CAST(f.value ->> 'score' AS smallint) FROM jsonb_each(r.scores) f
    ) s (question, metric, score)
    CROSS JOIN LATERAL (VALUES (coalesce(nullif(r.tier, '*'), '')), ('*')) t (tier)  -- and all together
    {where}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
"""
_KEY: Final = (
    "day, brand_id, survey_id, version_id, question, metric, touchpoint_id, channel, language, tier, team_id, kind,"
    " score"
)
_COLUMNS: Final = f"{_KEY}, count"


# From which band to which a customer moved: an outcome check is bound to the answer that opened its case (a complaint,
# which has no score, counts as negative); any other answer to what the customer said before it, or did not say
# (insights.silence). Answers that came in later than they were given (p.id > r.id) make no pair, so that a fold and a
# rebuild count the same.
_MOVED: Final = """
    SELECT (r.answered_at AT TIME ZONE b.zone)::date AS day, r.brand_id, r.survey_id, r.metric,
           coalesce(r.touchpoint_id, 0) AS touchpoint_id, r.channel, r.language, t.tier,
           CASE WHEN r.outcome_check_id IS NULL THEN 'later' ELSE 'recovery' END AS route,
           coalesce(before.was, 'negative') AS was, {became} AS became, count(*) AS count
    FROM {{source}} r JOIN brand b ON b.id = r.brand_id
    CROSS JOIN LATERAL (VALUES (coalesce(nullif(r.tier, '*'), '')), ('*')) t (tier)
    LEFT JOIN LATERAL (
        SELECT was FROM (
            SELECT {was} AS was, p.answered_at AS at FROM response p
            WHERE p.id = r.first_response_id AND p.metric = r.metric AND p.score IS NOT NULL
            UNION ALL
            (SELECT {was} AS was, p.answered_at AS at FROM response p
             WHERE r.outcome_check_id IS NULL AND p.customer_id = r.customer_id AND p.answered_at <= r.answered_at
                   AND p.id < r.id AND p.metric = r.metric AND p.score IS NOT NULL
             ORDER BY p.answered_at DESC, p.id DESC LIMIT 1)
            UNION ALL
            (SELECT was, at FROM ({silent}) s WHERE r.outcome_check_id IS NULL)
        ) known ORDER BY at DESC LIMIT 1
    ) before ON true
    WHERE r.score IS NOT NULL AND (before.was IS NOT NULL OR r.outcome_check_id IS NOT NULL) {{where}}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
""".format(  # noqa: S608  # constants
    was=silence.band_of("r.metric", "p.score"),
    became=silence.band_of("r.metric", "r.score"),
    silent=silence.before(customer="r.customer_id", metric="r.metric", at="r.answered_at")
    .replace("{", "{{")
    .replace("}", "}}"),
)
_MOVE_KEY: Final = silence.KEY

_FOLD: Final = text(f"""
    WITH batch AS (
        SELECT id FROM response WHERE folded_at IS NULL ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE response
        SET folded_at = :now,
            tier = coalesce(response.tier, (SELECT c.tier FROM customer c WHERE c.id = response.customer_id))
        FROM batch WHERE response.id = batch.id RETURNING response.*
    ), counted AS ({_SCORED.format(source="taken", where="")}
    ), moved AS ({_MOVED.format(source="taken", where="")}
    ), put AS (
        INSERT INTO rollup ({_COLUMNS}) SELECT {_COLUMNS} FROM counted ORDER BY {_KEY}
        ON CONFLICT ({_KEY}) DO UPDATE SET count = rollup.count + excluded.count
    ), put_moves AS (
        INSERT INTO rollup_move ({_MOVE_KEY}, count) SELECT {_MOVE_KEY}, count FROM moved ORDER BY {_MOVE_KEY}
        ON CONFLICT ({_MOVE_KEY}) DO UPDATE SET count = rollup_move.count + excluded.count
    )
    SELECT count(*) FROM taken
""")  # noqa: S608  # composed of the constants above

_OF_THE_DAY: Final = """r.folded_at IS NOT NULL
    AND r.answered_at >= CAST(:day AS date) - interval '1 day'
    AND r.answered_at < CAST(:day AS date) + interval '2 days'
    AND (r.answered_at AT TIME ZONE b.zone)::date = CAST(:day AS date)"""

_REBUILD: Final = text(f"""
    INSERT INTO rollup ({_COLUMNS}) SELECT {_COLUMNS} FROM (
        {_SCORED.format(source="response", where=f"WHERE {_OF_THE_DAY}")}
    ) counted
""")  # noqa: S608  # composed of the constants above

_REBUILD_MOVES: Final = text(f"""
    INSERT INTO rollup_move ({_MOVE_KEY}, count) SELECT {_MOVE_KEY}, count FROM (
        {_MOVED.format(source="response", where=f"AND {_OF_THE_DAY}")}
    ) moved
""")  # noqa: S608  # composed of the constants above


def fold(*, now: datetime, limit: int = BATCH) -> int:
    """Take up to `limit` new responses into the roll-ups in the caller's transaction; return how many.

    One statement marks and counts them, so a response is never counted twice, however many folds run at once.
    """
    return int(db.session.execute(_FOLD, {"now": now, "limit": limit}).scalar_one())


def rebuild(day: date) -> int:
    """Count one day anew from its responses (those that were taken in); return how many roll-up rows it has."""
    # No fold adds to the day meanwhile; the second table is only ever written together with the first.
    db.session.execute(text("LOCK TABLE rollup IN SHARE ROW EXCLUSIVE MODE"))
    answered = f"became <> '{silence.SILENT}'"  # silences have no answer; insights.silence counts them anew
    for table, only, counted in (("rollup_move", answered, _REBUILD_MOVES), ("rollup", "true", _REBUILD)):
        db.session.execute(text(f"DELETE FROM {table} WHERE day = :day AND {only}"), {"day": day})  # noqa: S608
        made = cast("CursorResult[Any]", db.session.execute(counted, {"day": day})).rowcount
    return made
