"""A form changes what it shows and nothing else, whatever further columns somebody posts with it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.datastructures import MultiDict

from core.access import Kind
from core.db import db
from feedback import policies
from tests.client import Client
from tests.factories import make_staff
from tests.hostile.forms import Form, Forms
from tests.test_access import arguments as arguments
from tests.test_access import routes

MARK = "987654321"  # fits a number, an id and a text
DAY = "2033-03-03"  # fits a day and a moment
NO_PAGES = {"/design", "/design/public", "/metrics"}
LEFT_ALONE = ("/logout", "/login", "/reset", "/tf-", "/mf-", "/change", "/verify", "/search")
FEWEST = 25  # addresses that forms were sent to; less means that pages did not open


def columns() -> dict[str, str]:
    """Return every column's name with a value that would be seen if it was taken."""
    named: dict[str, str] = {}
    for table in db.metadata.sorted_tables:
        for column in table.columns:
            is_moment = (
                column.type.python_type.__name__ in {"date", "datetime"}
                if hasattr(column.type, "python_type")
                else False
            )
            named[column.name] = DAY if is_moment else MARK
    return named


def marked() -> dict[str, int]:
    """Return how many rows of each table hold one of the values."""
    tables = [table for table in db.metadata.sorted_tables if table.name not in {"outbox"}]
    seen = f"r::text LIKE '%{MARK}%' OR r::text LIKE '%{DAY}%'"
    parts = [f"SELECT '{table.name}', count(*) FROM \"{table.name}\" r WHERE {seen}" for table in tables]
    with db.engine.connect() as connection:
        return {name: count for name, count in connection.execute(text(" UNION ALL ".join(parts))) if count}


def with_columns(form: Form) -> MultiDict[str, str]:
    """Return what the form sends, and every column that is no field of it."""
    sent = MultiDict((name, value) for name, values in form.fields.items() for value in values)
    for name, value in columns().items():
        if name not in form.fields:
            sent.add(name, value)
    return sent


@pytest.mark.timeout(300)
@pytest.mark.parametrize("visitor", ["staff", "customer"])
def test_columns_that_a_form_does_not_show_are_not_taken(
    app: Flask, client: Client, arguments: dict[str, dict[str, Any]], visitor: str
) -> None:
    policies.forget()
    kinds = {Kind.NEEDS, Kind.SIGNED_IN} if visitor == "staff" else {Kind.LINK, Kind.PUBLIC}
    if visitor == "staff":
        client.sign_in(make_staff("admin"))
    sent, statuses, wrong = set(), [], []

    for route in routes(app, arguments):
        if route.method != "GET" or route.rule.kind not in kinds or route.path in NO_PAGES:
            continue
        page = client.get(route.path)
        if page.status_code != 200 or page.mimetype != "text/html":
            continue
        for form in Forms(page.text).found:
            action = form.action or route.path
            if form.method != "post" or action.startswith(LEFT_ALONE) or action in sent:
                continue
            sent.add(action)
            status = client.post(action, data=with_columns(form)).status_code
            statuses.append(status)
            if status >= 500 or marked():
                wrong.append((action, status, marked()))
                break

    assert wrong == []
    assert len(sent) >= (FEWEST if visitor == "staff" else 5), sorted(sent)
    assert len([status for status in statuses if status in {302, 303}]) >= len(statuses) // 2, statuses
