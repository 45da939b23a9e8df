"""The pages of settings and profile, as an administrator's browser sees them."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from accounts import staff
from accounts.models import ApiKey, Staff
from core import clock, outbox
from core.db import db, new_public_id
from core.outbox import Work
from tests.client import Client, count_queries
from tests.factories import make_api_key, make_brand, make_staff, make_team


@pytest.fixture
def boss(client: Client) -> Staff:
    boss = make_staff("admin", name="Bo Berg")
    client.sign_in(boss)
    return boss


def test_somebody_new_gets_a_link_that_is_shown_once(app: Flask, client: Client, boss: Staff) -> None:
    team = make_team(make_brand())
    form = {
        "name": "  Ana   Lima ",
        "email": "Ana@northwind.example",
        "roles": ["agent", "lead"],
        "team": team.public_id,
    }

    made = client.post("/settings/staff", data=form)

    assert made.status_code == 201
    link = re.search(r"<code>([^<]+/welcome/[^<]+)</code>", made.text)
    assert link
    assert app.test_client().get(urlsplit(link[1]).path).status_code == 200
    ana = staff.by_email("ana@northwind.example")
    assert ana is not None
    assert (ana.name, ana.role_names, ana.team_id, ana.password) == ("Ana Lima", ["lead", "agent"], team.id, None)
    assert "Invited" in client.get("/settings/staff").text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"email": "ana@northwind.example", "roles": "agent"}, "Enter the name"),
        ({"name": "Ana", "email": "ana", "roles": "agent"}, "looks like"),
        ({"name": "Ana", "email": "ana@northwind.example"}, "at least one role"),
        ({"name": "Ana", "email": "ana@northwind.example", "roles": "owner"}, "aria-describedby"),
        ({"name": "A\0na", "email": "ana@northwind.example", "roles": "agent"}, "letters, digits"),
        ({"name": "Ana", "email": "BOSS@northwind.example", "roles": "agent"}, "already here"),
    ],
)
def test_a_form_that_does_not_fit_says_why_and_adds_nobody(client: Client, form: dict[str, str], words: str) -> None:
    client.sign_in(make_staff("admin", email="boss@northwind.example"))

    response = client.post("/settings/staff", data={"team": "", **form})

    assert response.status_code in {409, 422}
    assert words in response.text
    assert len(db.session.scalars(select(Staff)).all()) == 1


def test_roles_change_with_the_next_page(app: Flask, client: Client, boss: Staff) -> None:
    ana = make_staff("agent")
    her = app.test_client()
    her.sign_in(ana)

    before = her.get("/settings/staff").status_code
    client.post(f"/settings/staff/{ana.public_id}", data={"name": ana.name, "roles": "admin", "team": ""})

    assert (before, her.get("/settings/staff").status_code) == (403, 200)


def test_the_last_administrator_reads_why_nothing_changed(client: Client, boss: Staff) -> None:
    changed = client.post(f"/settings/staff/{boss.public_id}", data={"name": "Bo", "roles": "agent", "team": ""})
    disabled = client.post(f"/settings/staff/{boss.public_id}/disable", follow_redirects=True)

    assert changed.status_code == 409
    assert "last administrator" in changed.text
    assert "disable yourself" in disabled.text
    assert boss.active


def test_disabling_and_enabling(app: Flask, client: Client, boss: Staff) -> None:
    ana = make_staff("agent")
    her = app.test_client()
    her.sign_in(ana)

    client.post(f"/settings/staff/{ana.public_id}/disable")
    assert her.get("/profile").status_code == 302
    assert not ana.active

    client.post(f"/settings/staff/{ana.public_id}/enable")
    assert her.get("/profile").status_code == 302  # the old session stays ended
    assert ana.active


def test_a_lost_second_factor_is_taken_away(client: Client, boss: Staff) -> None:
    ana = make_staff("agent")
    ana.tf_primary_method, ana.tf_totp_secret, ana.mf_recovery_codes = "authenticator", "x", ["y"]

    client.post(f"/settings/staff/{ana.public_id}/second-factor")

    assert not ana.has_second_factor
    assert ana.tf_totp_secret is None
    assert not ana.mf_recovery_codes


def test_a_new_welcome_link_ends_the_one_before(client: Client, boss: Staff) -> None:
    ana = make_staff(password=None)
    links = []
    for _time in range(2):
        page = client.post(f"/settings/staff/{ana.public_id}/link").text
        links += re.findall(r"/welcome/[\w.-]+", page)

    assert [client.get(link).status_code for link in links] == [410, 200]


def test_the_list_of_staff_costs_the_same_for_one_and_three(client: Client, boss: Staff) -> None:
    def queries_of_the_list() -> int:
        with count_queries() as queries:
            assert client.get("/settings/staff").status_code == 200
        return queries.count

    few = queries_of_the_list()
    for _more in range(3):
        make_staff(team=make_team(make_brand()))

    assert queries_of_the_list() == few


# Keys


def test_a_key_is_shown_once_and_then_only_its_first_characters(client: Client, boss: Staff) -> None:
    form = {"form_key": new_public_id(), "name": "Shop", "scopes": ["metrics:read"], "days": "90"}

    made = client.post("/settings/keys", data=form)
    page = client.get("/settings/keys")

    secret = re.search(r"amends_[\w-]{43}", made.text)
    assert secret
    assert secret[0] not in page.text
    key = db.session.scalars(select(ApiKey)).one()
    assert key.hint in page.text
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - clock.now() <= timedelta(days=90)
    assert key.created_by_id == boss.id


def test_a_form_sent_twice_makes_one_key(client: Client, boss: Staff) -> None:
    form = {"form_key": new_public_id(), "name": "Shop", "scopes": ["metrics:read"], "days": ""}

    answers = [client.post("/settings/keys", data=form).status_code for _time in range(2)]

    assert answers == [201, 409]
    assert len(db.session.scalars(select(ApiKey)).all()) == 1


def test_a_revoked_key_stays_in_the_list(client: Client, boss: Staff) -> None:
    key, _secret = make_api_key()

    client.post(f"/settings/keys/{key.public_id}/revoke")

    assert key.revoked_at is not None
    assert "Revoked" in client.get("/settings/keys").text


# Work


def a_work(**more: object) -> Work:
    now = clock.now()
    values = {"queue": "messages", "handler": "message.send", "dedupe_key": new_public_id(), "ids": {}}
    row = Work(**{**values, "created_at": now, "due_at": now, **more})
    db.session.add(row)
    db.session.flush()
    return row


def test_dead_work_is_shown_and_tried_again(client: Client, boss: Staff) -> None:
    dead = a_work(dead_at=clock.now(), attempts=12, last_error="TransportError")
    a_work(handler="quiet.work")

    page = client.get("/settings/work")
    client.post(f"/settings/work/{dead.id}/revive")

    assert "TransportError" in page.text
    assert "quiet.work" not in page.text
    assert (dead.dead_at, dead.attempts) == (None, 0)


def test_late_work_and_work_that_failed_is_shown(client: Client, boss: Staff) -> None:
    a_work(handler="late.work", due_at=clock.now() - timedelta(minutes=6))
    a_work(handler="failed.work", attempts=1, due_at=clock.now() + timedelta(minutes=1))

    page = client.get("/settings/work").text

    assert "late.work" in page
    assert "failed.work" in page


def test_work_that_is_not_dead_cannot_be_revived(client: Client, boss: Staff) -> None:
    alive = a_work()

    assert client.post(f"/settings/work/{alive.id}/revive").status_code == 404
    assert client.post(f"/settings/work/{2**70}/revive").status_code == 404
    assert outbox.revive(alive.id, now=clock.now()) is False


# Profile


def test_a_profile_is_saved_and_speaks(client: Client) -> None:
    ana = make_staff("agent")
    client.sign_in(ana)

    saved = client.post("/profile", data={"name": "Ana Lima", "language": "de", "zone": "Asia/Tokyo"})
    page = client.get("/profile")

    assert saved.status_code == 302
    assert (ana.name, ana.language, ana.zone, ana.single_keys) == ("Ana Lima", "de", "Asia/Tokyo", False)
    assert '<html lang="de"' in page.text
    assert 'data-keys="off"' in page.text


@pytest.mark.parametrize(("field", "value"), [("zone", "Mars/Base"), ("language", "tlh"), ("name", "")])
def test_a_profile_that_does_not_fit_is_not_saved(client: Client, field: str, value: str) -> None:
    ana = make_staff("agent", name="Ana")
    client.sign_in(ana)

    response = client.post("/profile", data={"name": "Ana", "language": "en", "zone": "UTC", field: value})

    assert response.status_code == 422
    assert ana.zone == "Europe/Berlin"


def test_the_look_changes_and_one_stays_on_the_page(client: Client) -> None:
    ana = make_staff("admin")
    client.sign_in(ana)

    headers = {"Referer": "http://localhost/settings/keys?x=1"}
    response = client.post("/profile/look", data={"theme": "dark"}, headers=headers)

    assert response.headers["Location"] == "/settings/keys?x=1"
    assert ana.theme == "dark"
    assert 'data-theme="dark"' in client.get("/profile").text


@pytest.mark.parametrize("referrer", ["https://evil.example/x", "http://localhost//evil.example", "http://[0]/", ""])
def test_a_strange_referrer_is_not_followed(client: Client, referrer: str) -> None:
    client.sign_in(make_staff())

    response = client.post("/profile/look", data={"theme": "light"}, headers={"Referer": referrer})

    assert response.headers["Location"] == "/profile"


def test_an_unknown_look_is_refused(client: Client) -> None:
    client.sign_in(make_staff())

    assert client.post("/profile/look", data={"theme": "neon"}).status_code == 400
