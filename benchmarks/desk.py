"""The desk's page with many cases against the same page with few."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from benchmarks import staff, visits
from benchmarks.figures import Figure
from benchmarks.ground import Ground, Process, Size
from core import clock

FEW = 1000
CUSTOMERS = """
    INSERT INTO customer (public_id, external_id, name, email, language, tier, survey_consent, marketing_consent,
                          value_minor, created_at)
    SELECT 'c' || lpad(i::text, 21, '0'), 'bench-' || i, 'Hanna Keller ' || i, 'hanna.' || i || '@customers.example',
           (ARRAY['en', 'de', 'ar'])[1 + i %% 3], (ARRAY['Trail', 'Ridge', 'Summit'])[1 + i %% 3], 'unknown', 'unknown',
           i * 7 %% 100000, now() - interval '300 days'
    FROM generate_series(1, %(customers)s) i
"""
# One case in ten is open; due from two days ago to a month ahead, as far apart as their number allows.
CASES = """
    INSERT INTO "case" (public_id, reason, origin, brand_id, touchpoint_id, customer_id, question, metric, score, why,
                        words, language, wants, state, priority, team_id, assignee_id, assigned_at, opened_at, due_at,
                        next_act, first_contact_at, resolved_at, closed_at, reopened, last_entry_id, off_desk)
    SELECT 'k' || lpad(i::text, 21, '0'), 'bench:' || i, 'answer', brand.id,
           (SELECT min(id) FROM touchpoint) + i %% 6, 1 + i %% %(customers)s, 'nps', 'nps', i %% 7,
           ARRAY['not_solved'], 'I was cut off after 24 minutes and nobody rang me back.',
           (ARRAY['en', 'de', 'ar'])[1 + i %% 3],
           (ARRAY['phone', 'email', 'none'])[1 + (i / 30) %% 3],
           CASE WHEN i %% 10 > 0 THEN 'closed' ELSE (ARRAY['open', 'recovery', 'waiting'])[1 + (i / 10) %% 3] END,
           (ARRAY['normal', 'high', 'urgent'])[1 + i %% 3], (SELECT min(id) FROM team),
           CASE WHEN i %% 4 = 0 THEN (SELECT min(id) FROM staff) END, CASE WHEN i %% 4 = 0 THEN now() END,
           now() - interval '300 days' * i / %(cases)s,
           now() - interval '2 days' + interval '32 days' * i / %(cases)s,
           (ARRAY['first_contact', 'contact', 'promise'])[1 + (i / 10) %% 3],
           CASE WHEN i %% 10 > 0 OR (i / 10) %% 3 > 0 THEN now() - interval '1 day' END,
           CASE WHEN i %% 10 > 0 THEN now() - interval '1 day' END,
           CASE WHEN i %% 10 > 0 THEN now() - interval '1 day' END, 0, 0, false
    FROM generate_series(1, %(cases)s) i, brand
"""


def run(ground: Ground, size: Size) -> list[Figure]:
    small, large = _desk(ground, "bench_desk_small", FEW), _desk(ground, "bench_desk_large", size.desk_cases)
    with small, large:
        deep = quote(f"0~{(clock.now() + timedelta(days=15)).isoformat()}~1")
        few = staff.p95_of(small, "/desk", staff.sign_in(small), size.page_views)
        cookie = staff.sign_in(large)
        words = f"desk page p95, {size.desk_cases:,} cases ({size.desk_open:,} open) / {FEW:,}"
        found = [
            staff.compare(name, work, staff.p95_of(large, path, cookie, size.page_views), few, **_sizes(size))
            for name, work, path in (
                ("desk", words, "/desk"),
                ("desk_deep", f"the same, from the middle of the list on, / {FEW:,}", f"/desk?after={deep}"),
            )
        ]
    ground.drop("bench_desk_large")
    return found


def _sizes(size: Size) -> dict[str, int]:
    return {"pairs": size.pairs, "views": size.page_views}


def _desk(ground: Ground, name: str, cases: int) -> Process:
    visits.prepare(ground, name)
    with ground.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")  # rows that refer rightly need no check of each
        many = {"cases": cases, "customers": max(cases // 5, 100)}
        connection.execute(CUSTOMERS, many)
        connection.execute(CASES, many)
        connection.execute("SELECT setval(pg_get_serial_sequence('customer', 'id'), max(id)) FROM customer")
    visits.settle(ground, name)
    return ground.product(name)
