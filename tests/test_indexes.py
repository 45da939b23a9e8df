"""No page reads a whole table of what grows: what it asks for by an id has an index that leads there.

Each statement of every page is planned as for tables so large that only indexes help. A scan that no index condition
narrows must then be one in order (a list's newest first), or its id have an index that pays once there are rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from flask import Flask
from sqlalchemy import Engine, event, text

from core.db import db
from tests.client import Client
from tests.factories import make_staff
from tests.test_access import arguments as arguments
from tests.test_access import routes

GROWING = {
    "attachment",
    "case",
    "case_clock",
    "case_entry",
    "clock_event",
    "code",
    "complaint",
    "customer",
    "decision",
    "event",
    "interaction",
    "invitation",
    "ledger_entry",
    "message",
    "message_event",
    "outcome_check",
    "promise",
    "resolution",
    "response",
    "reward",
}
OFF = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
ALONE = re.compile(r"\((\w+_id) = [^()]*(?:\) AND|\)\)$)")
SOUGHT = re.compile(r"\b(\w+_id) = ")


def test_no_page_reads_a_whole_table(app: Flask, client: Client, arguments: dict[str, dict[str, Any]]) -> None:
    client.sign_in(make_staff("admin"))
    seen: dict[str, tuple[Any, str]] = {}
    page = ""

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.setdefault(statement, (parameters, page))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for route in routes(app, arguments):
            if route.method == "GET":
                page = route.path
                client.get(page)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    found = [
        (page, scan["Relation Name"], scan.get("Filter"))
        for statement, (parameters, page) in seen.items()
        for scan in whole_scans(planned(statement, parameters))
        if scan["Node Type"] == "Seq Scan" or not has_a_way(scan)
    ]

    assert len(seen) > 100
    assert found == []


def planned(statement: str, parameters: Any) -> dict[str, Any]:
    """Return how PostgreSQL would run a statement if reading whole tables cost a world."""
    with db.session.begin_nested() as nested:
        driver: Any = db.session.connection().connection.driver_connection
        for setting in OFF:
            driver.execute(f"SET LOCAL {setting} = off")
        cursor = psycopg.RawCursor(driver) if isinstance(parameters, list) else driver.cursor()  # see core.prepared
        plan: dict[str, Any] = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchone()[0][0]
        nested.rollback()
    return plan["Plan"]  # type: ignore[no-any-return]


def whole_scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the scans of a plan that read a growing table, or an index of it, from end to end."""
    reads = plan["Node Type"] in {"Seq Scan", "Index Scan", "Index Only Scan"}
    if reads and plan["Relation Name"] in GROWING and "Index Cond" not in plan:
        yield plan
    for each in plan.get("Plans", ()):
        yield from whole_scans(each)


def has_a_way(scan: dict[str, Any]) -> bool:
    """Whether an index leads to what is sought, which a larger table would take: of what must hold together, to one."""
    table, filtered = scan["Relation Name"], scan.get("Filter", "")
    is_choice = " OR " in down_to(1, filtered)
    if not is_choice and any(led_to(table, name) for name in ALONE.findall(down_to(2, filtered))):
        return True
    return all(led_to(table, name) for name in SOUGHT.findall(filtered))


def down_to(most: int, filtered: str) -> str:
    """Blank what stands deeper in a filter: ((a_id = 1) AND ((b_id = 2) OR c)) down to 2 keeps a_id alone."""
    depth, kept = 0, []
    for sign in filtered:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        kept.append(sign if depth <= most else " ")
    return "".join(kept)


def test_an_index_leads_to_one_of_what_must_hold_together_whatever_stands_beside_it(app: Flask) -> None:
    beside = "((state = 'open') AND (brand_id = '1'::bigint)) OR (merged_into_id = '2'::bigint)"

    assert has_a_way(
        {"Relation Name": "case", "Filter": f"((id <> '2'::bigint) AND (customer_id = '4'::bigint) AND ({beside}))"}
    )
    assert not has_a_way({"Relation Name": "case", "Filter": f"((customer_id = '4'::bigint) OR ({beside}))"})
    assert not has_a_way({"Relation Name": "case", "Filter": "((id <> '2'::bigint) AND (brand_id = '1'::bigint))"})


def led_to(table: str, column: str) -> bool:
    """Whether an index of every row of a table begins with a column."""
    query = """
        SELECT EXISTS (
            SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = CAST(:table AS regclass) AND a.attname = :column
                AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = '(' || :column || ' IS NOT NULL)')
        )
    """
    return bool(db.session.scalar(text(query), {"table": f'"{table}"', "column": column}))
