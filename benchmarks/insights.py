"""The insights page with many answers against the same page with few, and what it costs to take answers in."""

from __future__ import annotations

import time

from sqlalchemy import text

from benchmarks import staff, visits
from benchmarks.figures import Figure
from benchmarks.ground import Ground, Process, Size
from core import clock
from core.db import db
from insights import rollups

FEW = 10_000
FOLDED = 10_000
FOLDS = 5
AT_ONCE = 1_000_000
DROPPED = ("ix_response_survey", "ix_response_customer", "ix_response_touchpoint", "ix_response_words")
# A year of answers, spread evenly over days, touchpoints, languages, scores and tiers. Each fifth has words.
RESPONSES = """
    INSERT INTO response (public_id, survey_id, version_id, brand_id, touchpoint_id, channel, language, tier, state,
                          metric, question, score, scores, why, answers, comment, answered_at, received_at, folded_at)
    SELECT 'r' || lpad(i::text, 21, '0'), v.survey_id, v.id, b.id, t.first + i %% 6, 'email',
           (ARRAY['en', 'de', 'ar'])[1 + (i / 6) %% 3], (ARRAY['Trail', 'Ridge', 'Summit'])[1 + (i / 198) %% 3],
           'complete', 'nps', 'nps', (i / 18) %% 11, '{{}}', '{{}}',
           jsonb_build_object('nps', (i / 18) %% 11),
           CASE WHEN i %% 5 = 0 THEN 'Quick, kind and to the point. Thank you for the call back.' END,
           at.moment, at.moment, {folded}
    FROM generate_series(%(start)s::bigint, %(end)s::bigint) i,
         LATERAL (SELECT now() - interval '365 days' * ((i * 7919 %% %(all)s)::float8 / %(all)s) AS moment) at,
         (SELECT min(id) AS first FROM touchpoint) t, brand b, survey_version v
"""


def run(ground: Ground, size: Size) -> list[Figure]:
    few, many = (
        _insights(ground, "bench_insights_small", FEW),
        _insights(ground, "bench_insights_large", size.responses),
    )
    with few, many:
        found = [
            staff.compare(
                "insights",
                f"insights page p95, {size.responses:,} responses / {FEW:,}",
                staff.p95_of(many, "/insights", staff.sign_in(many), size.page_views),
                staff.p95_of(few, "/insights", staff.sign_in(few), size.page_views),
                pairs=size.pairs,
                views=size.page_views,
            )
        ]
    found.append(_fold(ground, "bench_insights_large", size))
    ground.drop("bench_insights_large")
    return found


def _insights(ground: Ground, name: str, responses: int) -> Process:
    app = visits.prepare(ground, name)
    with ground.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")  # rows that refer rightly need no check of each
        connection.execute("SET maintenance_work_mem = '512MB'")
        query = "SELECT indexdef FROM pg_indexes WHERE indexname = ANY(%s)"
        indexes = [str(row[0]) for row in connection.execute(query, [list(DROPPED)])]
        for index in DROPPED:
            connection.execute(f"DROP INDEX {index}")
        for start in range(1, responses + 1, AT_ONCE):
            end = min(start + AT_ONCE - 1, responses)
            connection.execute(RESPONSES.format(folded="now()"), {"start": start, "end": end, "all": responses})
        for index in indexes:
            connection.execute(index)
    with app.app_context():
        # As rollups.rebuild counts, all days in one go: day by day it reads the rows 365 times.
        counted = rollups._SCORED.format(source="response", where="")
        kept = f"INSERT INTO rollup ({rollups._COLUMNS}) SELECT {rollups._COLUMNS} FROM ({counted}) c"  # noqa: S608
        db.session.execute(text(kept))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    visits.settle(ground, name)
    return ground.product(name)


def _fold(ground: Ground, name: str, size: Size) -> Figure:
    """Take new answers into the roll-ups, as the clock does every five seconds."""
    took = []
    with ground.inside(name):
        for place in range(FOLDS):
            with ground.connect(name) as connection:
                start = size.responses + 1 + place * FOLDED
                many = {"start": start, "end": start + FOLDED - 1, "all": size.responses}
                connection.execute(RESPONSES.format(folded="NULL"), many)
                connection.execute("ANALYZE response")
            begun, folded = time.monotonic(), 0
            while done := rollups.fold(now=clock.now()):
                db.session.commit()
                folded += done
            took.append(time.monotonic() - begun)
            assert folded == FOLDED, f"{folded} of {FOLDED} were folded"
    took.sort()
    return Figure(
        "fold",
        f"fold of {FOLDED:,} new responses into roll-ups, beside {size.responses:,}",
        round(took[len(took) // 2] * 1000),
        FOLDED * FOLDS,
        low=round(took[0] * 1000),
        high=round(took[-1] * 1000),
        unit=" ms",
        lower_is_better=True,
        measured=f"{FOLDED / took[len(took) // 2]:,.0f} responses a second, in folds of {rollups.BATCH:,}",
    )
