"""Somebody of one brand who knows the addresses of another brand's records: nothing opens and nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from accounts.models import SavedView, Staff
from accounts.permissions import RoleName
from core import clock
from core.access import Kind
from core.db import db, new_public_id
from core.files import File
from customers.models import ImportRun
from feedback import files
from feedback.files import Upload
from feedback.models import Attachment, Promise, SlaPolicy
from incentives import goodwill
from incentives.models import Trigger
from tests.client import Client, count_queries
from tests.factories import (
    make_case,
    make_customer,
    make_interaction,
    make_problem,
    make_programme,
    make_rule,
    make_staff,
    make_survey,
    make_team,
    make_touchpoint,
    make_upload,
)
from tests.test_access import NOBODY_ID, WRITES, routes, rows_by_table

# What belongs to the house and not to a brand: who may change it is the role's affair alone (tests/test_access.py).
OF_THE_HOUSE = (
    "/settings/staff/",
    "/settings/keys/",
    "/settings/calendars/",
    "/settings/categories/",
    "/settings/journey/",
    "/settings/work/",
    "/surveys/library/",
    "/tf-setup/",
)


class Town:
    """One of each thing that has an address, all of one brand."""

    def __init__(self) -> None:
        self.touchpoint = make_touchpoint()
        self.brand = self.touchpoint.brand
        self.customer = make_customer(name="Foreign Person", email="foreign@customer.example", external_id="F-1")
        make_interaction(self.touchpoint, self.customer)
        self.double = make_customer(name="Foreign Person", email="foreign@customer.example", external_id="F-2")
        make_interaction(self.touchpoint, self.double)
        self.survey = make_survey(self.brand)
        make_rule(self.touchpoint, self.survey)
        self.case = make_case(self.brand, customer=self.customer)
        self.promise = db.session.scalars(select(Promise).where(Promise.case_id == self.case.id)).first()
        self.programme = make_programme(self.brand)
        self.problem = make_problem(touchpoint=self.touchpoint, brand_id=self.brand.id)
        self.boss = make_staff("admin")
        self.upload = make_upload(self.boss, brand_id=self.brand.id)
        self.view = SavedView(name="Mine", staff_id=self.boss.id, query={})
        make_programme(self.brand, name="Goodwill", trigger=Trigger.GOODWILL, budget=60_000, reward_minor=100)
        self.reward = goodwill.give(
            self.case, amount=5000, words="Late", form_key=new_public_id(), by=make_staff("agent"), now=clock.now()
        )
        files.attach(self.case.id, [Upload(b"a photo", "a.txt", "text/plain")], now=clock.now())
        self.file = db.session.scalars(select(File).join(Attachment, Attachment.file_id == File.id)).one()
        self.run = ImportRun(
            kind="complaints",
            file_name="a.csv",
            file_sha256="0" * 64,
            mapping={},
            brand_id=self.brand.id,
            by="system",
            started_at=clock.now(),
        )
        self.policy = SlaPolicy(
            name="Theirs",
            brand_id=self.brand.id,
            conditions={},
            first_contact_minutes=60,
            next_response_minutes=60,
            resolution_minutes=600,
        )
        db.session.add_all([self.view, self.policy, self.run])
        self.team = make_team(self.brand)
        db.session.flush()

    def arguments(self) -> dict[str, dict[str, Any]]:
        promise = self.promise.public_id if self.promise else NOBODY_ID
        return {
            "/customers/<public_id>/merge/": {"public_id": self.customer.public_id, "other": self.double.public_id},
            "/customers/": {"public_id": self.customer.public_id},
            "/desk/cases/<number>/promises/": {"number": self.case.number, "public_id": promise},
            "/desk/cases/<number>/files/": {"number": self.case.number, "public_id": self.file.public_id},
            "/desk/cases/": {"number": self.case.number},
            "/desk/views/": {"public_id": self.view.public_id},
            "/imports/runs/": {"public_id": self.run.public_id},
            "/imports/": {"public_id": self.upload.public_id},
            "/incentives/rewards/": {"public_id": self.reward.public_id},
            "/incentives/": {"public_id": self.programme.public_id},
            "/insights/problems/": {"public_id": self.problem.public_id},
            "/settings/brands/": {"key": self.brand.key},
            "/settings/deadlines/": {"public_id": self.policy.public_id},
            "/settings/teams/": {"public_id": self.team.public_id},
            "/settings/touchpoints/": {"key": self.touchpoint.key},
            "/surveys/<key>": {"key": self.survey.key},
        }


@pytest.fixture
def town(app: Flask) -> Town:
    return Town()


def somebody_elsewhere(role: str) -> Staff:
    return make_staff(role, team=make_team(make_touchpoint().brand))


def with_ids(app: Flask, town: Town) -> list[Any]:
    rules = {rule.endpoint for rule in app.url_map.iter_rules() if rule.arguments}
    return [
        route
        for route in routes(app, town.arguments())
        if route.rule.kind is Kind.NEEDS and route.endpoint in rules and not route.path.startswith(OF_THE_HOUSE)
    ]


def test_the_records_are_there_for_who_sees_all_brands(app: Flask, client: Client, town: Town) -> None:
    """Otherwise the test below would prove nothing."""
    client.sign_in(make_staff("admin"))

    found = {
        route.endpoint: client.get(route.path).status_code for route in with_ids(app, town) if route.method == "GET"
    }

    hidden = {endpoint for endpoint, status in found.items() if status in {403, 404}}
    assert hidden <= {"incentives.show_codes"}  # of programmes with a pool of codes; there the programme is read first


@pytest.mark.parametrize("role", [role.value for role in RoleName])
def test_no_id_of_another_brand_opens_or_changes_anything(app: Flask, client: Client, town: Town, role: str) -> None:
    client.sign_in(somebody_elsewhere(role))
    wrong = []

    for route in with_ids(app, town):
        with count_queries() as queries:
            answer = client.open(route.path, method=route.method)
        written = [query for query in queries if WRITES.search(query)]
        if answer.status_code not in {403, 404} or written or "Foreign Person" in answer.text:
            wrong.append((route.method, route.path, answer.status_code, written))

    assert wrong == []


@pytest.mark.parametrize("role", [role.value for role in RoleName])
def test_no_id_of_another_brand_in_a_form_or_an_address_is_followed(
    app: Flask, client: Client, town: Town, role: str
) -> None:
    """Those that are not part of a path: filters, whom a form is for, which cases are ticked."""
    client.sign_in(somebody_elsewhere(role))
    customer, brand, place = town.customer, town.brand.key, town.touchpoint.key
    before = rows_by_table()
    shown = [
        *(
            client.get(path, query_string={"customer": customer.public_id})
            for path in ("/desk/cases/new", "/desk/complaints/new")
        ),
        *(
            client.get("/desk", query_string=query)
            for query in ({"q": "Foreign"}, {"touchpoint": place}, {"brand": brand})
        ),
        client.get("/customers", query_string={"q": "Foreign"}),
        client.get("/search", query_string={"q": "foreign@customer.example"}),
        client.get("/search", query_string={"q": town.case.label}),
        *(client.get("/insights", query_string={name: key}) for name, key in (("brand", brand), ("touchpoint", place))),
        client.post("/desk/assign", data={"case": town.case.number, "to": "me"}),
        client.post("/desk/cases/new", data={"brand": brand, "customer": "F-1", "summary": "A call", "wants": "phone"}),
        client.post("/desk/complaints/new", data={"brand": brand, "customer": "F-1", "what": "A call"}),
        client.post("/incentives/new", data={"brand": brand, "name": "Ours"}),
        client.post("/settings/touchpoints", data={"brand": brand, "name": "Ours"}),
        client.post("/settings/teams", data={"brand": brand, "name": "Ours"}),
        client.post("/imports/new", data={"brand": brand}),
    ]

    told = [
        answer.request.path
        for answer in shown
        if customer.name in answer.text or (answer.request.method == "GET" and 'value="F-1"' in answer.text)
    ]
    assert told == []
    assert [answer.request.path for answer in shown if answer.status_code >= 500] == []
    assert rows_by_table() == before
