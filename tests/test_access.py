"""Who gets in where: every route against every kind of visitor; and no GET writes.

The table says what each role gets, in words of its own: widening a role or a route must change this file too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask_security.recoverable import generate_reset_password_token
from sqlalchemy import text
from werkzeug.routing import AnyConverter, Map, Rule

from accounts import api_keys
from accounts.permissions import ALL, RoleName
from accounts.sign_in import welcome_link
from core import access, tokens
from core.access import Kind
from core.db import db
from tests.client import Client, count_queries
from tests.factories import (
    make_api_key,
    make_case,
    make_customer,
    make_interaction,
    make_invitation,
    make_problem,
    make_programme,
    make_rule,
    make_staff,
    make_team,
    make_touchpoint,
    make_upload,
)

WHO = {
    "api_keys.manage": "admin",
    "cases.assign": "admin lead",
    "cases.merge": "admin lead",
    "cases.see_all": "admin lead",
    "cases.work": "admin lead agent",
    "customers.edit": "admin lead agent",
    "customers.erase": "admin lead",
    "customers.export": "admin lead marketer",
    "customers.hand_out": "admin lead",
    "customers.merge": "admin lead",
    "customers.see": "admin lead agent marketer",
    "desk.see": "admin lead agent",
    "goodwill.approve": "admin lead marketer",
    "goodwill.give": "admin lead agent",
    "home.see": "admin lead agent marketer analyst",
    "imports.run": "admin",
    "incentives.edit": "admin marketer",
    "incentives.see": "admin lead marketer analyst",
    "insights.export": "admin lead marketer analyst",
    "insights.see": "admin lead agent marketer analyst",
    "messages.see": "admin lead marketer",
    "problems.work": "admin lead analyst",
    "rules.edit": "admin marketer",
    "settings.edit": "admin",
    "settings.see": "admin lead marketer",
    "staff.manage": "admin",
    "surveys.edit": "admin marketer",
    "surveys.see": "admin lead marketer analyst",
    "wordings.declare": "admin marketer analyst",
    "work.see": "admin",
}
# With the rows of `arguments` behind them, these show a page and not a 404.
OPENS = {
    "brand_settings.one",
    "calendar_settings.one",
    "deadline_settings.last",
    "case.show",
    "case_page.show",
    "customers.show",
    "imports.columns",
    "imports.show",
    "incentives.show",
    "metrics.show",
    "problems.edit",
    "problems.one",
    "preferences.choices",
    "records.ask_to_erase",
    "records.compare",
    "records.find_other",
    "security.login",
    "security.reset_password",
    "settings.person",
    "surveys.survey",
    "team_settings.one",
    "touchpoint_settings.one",
    "welcome.show",
}
NOBODY_ID = "A" * 22  # has the shape of a public id, and names nothing
WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY)\b|\b(INSERT INTO|DELETE FROM)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Route:
    endpoint: str
    method: str
    path: str
    rule: access.Rule


def routes(app: Flask, arguments: dict[str, dict[str, Any]] | None = None) -> Iterator[Route]:
    """Every route and method of the application, its arguments taken from `arguments` (by the start of the path)."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        declared = access.rule_for(app, rule.endpoint)
        if declared is None or rule.endpoint == "static":
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(rule.endpoint, method, path_of(app.url_map, rule, arguments or {}), declared)


def has_own_check(route: Route) -> bool:
    """Whether a public route asks for something of its own: a password, a code, a provider's signature."""
    return route.endpoint.startswith("security.") or route.path.startswith("/hooks/")


def path_of(url_map: Map, rule: Rule, arguments: dict[str, dict[str, Any]]) -> str:
    known = next((values for start, values in arguments.items() if rule.rule.startswith(start)), {})
    values = {name: known.get(name, _nothing(rule, name)) for name in rule.arguments}
    return url_map.bind("localhost").build(rule.endpoint, values, method=None)


def _nothing(rule: Rule, name: str) -> str | int:
    converter = rule._converters[name]
    if isinstance(converter, AnyConverter):
        return min(converter.items)
    return 999_999_999 if "int" in type(converter).__name__.lower() else NOBODY_ID


def test_every_route_declares_who_may(app: Flask) -> None:
    undeclared = [rule.endpoint for rule in app.url_map.iter_rules() if access.rule_for(app, rule.endpoint) is None]

    assert undeclared == []


def test_every_permission_stands_in_the_table_and_routes_name_no_other(app: Flask) -> None:
    needed = {route.rule.permission for route in routes(app) if route.rule.kind is Kind.NEEDS}

    assert set(WHO) == ALL
    assert needed <= set(WHO)


def test_every_scope_that_a_route_needs_can_be_given(app: Flask) -> None:
    needed = {route.rule.permission for route in routes(app) if route.rule.kind is Kind.API}

    assert needed <= set(api_keys.SCOPES)


def test_a_route_that_declares_nothing_is_refused_even_to_an_administrator(app: Flask, client: Client) -> None:
    client.sign_in(make_staff("admin"))
    before = access._by_endpoint.pop("health.healthz", None)
    view = app.view_functions["health.healthz"]
    app.view_functions["health.healthz"] = lambda: "open"
    try:
        assert client.get("/healthz").status_code == 403
    finally:
        app.view_functions["health.healthz"] = view
        if before is not None:
            access._by_endpoint["health.healthz"] = before


@pytest.mark.parametrize("role", [role.value for role in RoleName])
def test_a_role_gets_what_the_table_says_and_nothing_else(app: Flask, client: Client, role: str) -> None:
    client.sign_in(make_staff(role))
    make_staff("admin")
    wrong = []

    for route in routes(app):
        if route.rule.kind not in {Kind.NEEDS, Kind.SIGNED_IN}:
            continue
        may = route.rule.kind is Kind.SIGNED_IN or role in WHO[route.rule.permission].split()
        status = client.open(route.path, method=route.method).status_code
        if (status == 403) == may or status >= 500 or status == 401:
            wrong.append((route.method, route.path, status, "may" if may else "may not"))

    assert wrong == []


def test_a_stranger_is_asked_to_sign_in(app: Flask, client: Client) -> None:
    wrong = []

    for route in routes(app):
        if route.rule.kind in {Kind.NEEDS, Kind.SIGNED_IN}:
            response = client.open(route.path, method=route.method)
            asked = response.status_code == 302 and response.headers["Location"].startswith("/login")
            if not asked and response.status_code != 401:
                wrong.append((route.method, route.path, response.status_code))

    assert wrong == []


def test_public_pages_and_links_turn_no_stranger_away(app: Flask, client: Client) -> None:
    wrong = []

    for route in routes(app):
        if route.rule.kind in {Kind.PUBLIC, Kind.LINK, Kind.MAILBOX} and not has_own_check(route):
            response = client.open(route.path, method=route.method)
            to_sign_in = response.headers.get("Location", "").startswith("/login")
            if response.status_code in {401, 403} or response.status_code >= 500 or to_sign_in:
                wrong.append((route.method, route.path, response.status_code))

    assert wrong == []


def test_an_api_route_asks_for_a_key_with_its_scope(app: Flask, client: Client) -> None:
    secrets = {scope: make_api_key(scope)[1] for scope in api_keys.SCOPES}
    wrong = []

    def status(route: Route, secret: str | None) -> int:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return client.open(route.path, method=route.method, headers=headers).status_code

    for route in routes(app):
        if route.rule.kind is not Kind.API:
            continue
        others = [secret for scope, secret in secrets.items() if scope != route.rule.permission]
        got = [status(route, None), status(route, "amends_nonsense"), *(status(route, secret) for secret in others)]
        with_scope = status(route, secrets[route.rule.permission])
        if got != [401, 401, *[403] * len(others)] or with_scope in {401, 403} or with_scope >= 500:
            wrong.append((route.method, route.path, got, with_scope))

    assert wrong == []


def test_a_session_opens_no_api_route_and_a_key_no_page(app: Flask, client: Client) -> None:
    _key, secret = make_api_key()
    visitor = app.test_client()
    client.sign_in(make_staff("admin"))

    for route in routes(app):
        if route.rule.kind is Kind.API:
            assert client.open(route.path, method=route.method).status_code == 401, route
        if route.rule.kind is Kind.NEEDS and route.method == "GET":
            headers = {"Authorization": f"Bearer {secret}"}
            assert visitor.get(route.path, headers=headers).status_code in {302, 401}, route


def test_forms_of_staff_need_the_token_of_their_session(app: Flask, client: Client) -> None:
    client.sign_in(make_staff("admin"))
    client.sends_csrf = False
    wrong = []

    for route in routes(app):
        if route.method != "GET" and route.rule.kind in {Kind.NEEDS, Kind.SIGNED_IN, Kind.PUBLIC}:
            status = client.open(route.path, method=route.method).status_code
            if status != 400:
                wrong.append((route.method, route.path, status))

    assert wrong == []


@pytest.fixture
def arguments(app: Flask) -> dict[str, dict[str, Any]]:
    """One row of each thing that pages show, by the start of the path that leads to it."""
    touchpoint = make_touchpoint()
    customer = make_customer()
    make_interaction(touchpoint, customer)
    make_rule(touchpoint)
    case, invitation, programme = make_case(touchpoint.brand), make_invitation(), make_programme(touchpoint.brand)
    newcomer = make_staff(password=None)
    key, _secret = make_api_key()
    found: dict[str, dict[str, Any]] = {
        "/s/": {"token": tokens.sign("survey", invitation.public_id)},
        "/c/": {"token": tokens.sign("case", case.public_id)},
        "/u/": {"token": tokens.sign("preferences", customer.public_id)},
        "/t/": {"touchpoint": touchpoint.key},
        "/brand/": {"key": touchpoint.brand.key},
        "/customers/": {"public_id": customer.public_id, "other": make_customer().public_id},
        "/desk/": {"number": case.number},
        "/insights/problems/": {"public_id": make_problem(touchpoint=touchpoint).public_id},
        "/incentives/": {"public_id": programme.public_id, "key": getattr(programme, "key", NOBODY_ID)},
        "/settings/staff/": {"public_id": newcomer.public_id},
        "/settings/keys/": {"public_id": key.public_id},
        "/settings/brands/": {"key": touchpoint.brand.key},
        "/settings/calendars/": {"public_id": touchpoint.brand.calendar.public_id},
        "/settings/touchpoints/": {"key": touchpoint.key},
        "/settings/teams/": {"public_id": make_team(touchpoint.brand).public_id},
        "/imports/": {"public_id": make_upload(newcomer).public_id},
        "/welcome/": {"token": welcome_link(newcomer).rpartition("/")[2]},
        "/api/v1/metrics/": {"name": "nps", "metric": "nps"},
    }
    with app.test_request_context():
        found["/reset/"] = {"token": generate_reset_password_token(newcomer)}
    return found


def test_no_get_writes(app: Flask, client: Client, arguments: dict[str, dict[str, Any]]) -> None:
    """As an administrator and as a stranger (for whom sign-in pages open), with a row behind every address."""
    client.sign_in(make_staff("admin"))
    stranger = app.test_client()
    _key, secret = make_api_key()
    headers = {"Authorization": f"Bearer {secret}"}
    db.session.commit()
    before, wrong, opened = rows_by_table(), [], set()

    for route in routes(app, arguments):
        if route.method == "GET":
            for visitor in (client, stranger):
                with count_queries() as queries:
                    status = visitor.get(route.path, headers=headers if route.rule.kind is Kind.API else {}).status_code
                written = [statement for statement in queries if WRITES.search(statement)]
                opened |= {route.endpoint} if status == 200 else set()
                if written or status >= 500:
                    wrong.append((route.path, status, written))

    assert wrong == []
    assert opened >= OPENS, OPENS - opened
    assert rows_by_table() == before


def test_pages_for_customers_know_no_session(app: Flask, client: Client, arguments: dict[str, dict[str, Any]]) -> None:
    client.sign_in(make_staff("admin"))

    for route in routes(app, arguments):
        if route.method == "GET" and route.rule.kind is Kind.LINK:
            with count_queries() as queries:
                response = client.get(route.path)
            assert "Set-Cookie" not in response.headers, route
            assert [query for query in queries if "FROM staff" in query] == [], route


def rows_by_table() -> dict[str, str]:
    """A fingerprint of every table's rows."""
    tables = db.metadata.sorted_tables
    parts = [
        f"SELECT '{table.name}', coalesce(md5(string_agg(r::text, ',' ORDER BY r::text)), '') FROM \"{table.name}\" r"
        for table in tables
    ]
    with db.engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(text(" UNION ALL ".join(parts))))


def test_an_address_with_a_nul_leads_nowhere(client: Client) -> None:
    client.sign_in(make_staff("admin"))

    for path in (
        "/customers/a%00b",
        "/incentives/a%00b",
        "/settings/staff/a%00b",
        "/s/a%00b",
        "/c/a%00b",
        "/desk/cases/1%00",
    ):
        assert client.get(path).status_code == 404, path


def test_a_part_of_a_form_without_a_name_is_a_bad_request(client: Client) -> None:
    body = b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--\r\n"
    client.sends_csrf = False

    for path in ("/login", "/reset", "/welcome/x"):
        answer = client.post(path, data=body, content_type="multipart/form-data; boundary=edge")
        assert answer.status_code == 400, path


@pytest.mark.parametrize("sent", ["[1.5]", "{}", "nonsense"])
def test_no_page_takes_json(app: Flask, client: Client, sent: str) -> None:
    """A form of the library reads it like typed fields, and stumbled over what is no object."""
    client.sign_in(make_staff("admin"))
    pages = [route for route in routes(app) if route.method == "POST" and route.rule.kind is not Kind.API]
    wrong = []

    for route in pages:
        if not route.path.startswith("/hooks/"):
            status = client.post(route.path, data=sent, content_type="application/json; charset=utf-7").status_code
            wrong += [(route.path, status)] if status not in {404, 415} else []

    assert len(pages) > 50
    assert wrong == []
