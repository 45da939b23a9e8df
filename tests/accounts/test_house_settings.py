"""Brands, calendars, the journey and teams, as an administrator's browser changes them, and as others read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from accounts.models import Staff, Team
from core import clock
from core.db import db
from core.events import Event
from customers.models import Brand, Calendar, Stage, Touchpoint
from tests.client import Client
from tests.factories import make_brand, make_staff, make_team, make_touchpoint
from tests.settings_pages import fields, words

PAGES = ("/settings/brands", "/settings/calendars", "/settings/journey", "/settings/teams")


@pytest.fixture
def boss(client: Client) -> Staff:
    boss = make_staff("admin", name="Bo Berg")
    client.sign_in(boss)
    return boss


def kinds() -> list[str]:
    return list(db.session.scalars(select(Event.kind).where(~Event.kind.like("staff.%")).order_by(Event.id)))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("role", ["lead", "marketer"])
def test_leads_and_marketers_read_what_only_an_administrator_changes(client: Client, page: str, role: str) -> None:
    make_team(make_touchpoint().brand)
    client.sign_in(make_staff(role))

    read = client.get(page)

    assert read.status_code == 200
    assert "An administrator can change" in read.text
    assert client.post(page).status_code == 403


@pytest.mark.parametrize(("role", "page"), [("admin", "/settings/brands"), ("marketer", "/settings/brands")])
def test_settings_lead_to_the_first_page_one_may_see(client: Client, role: str, page: str) -> None:
    client.sign_in(make_staff(role))

    assert client.get("/settings").headers["Location"] == page


# Brands


def test_a_brand_changes_with_an_event_that_names_the_fields(client: Client, boss: Staff) -> None:
    brand = make_brand()
    page = f"/settings/brands/{brand.key}"
    form = fields(client, page) | {"name": "Fjell & Fjord", "colour": "OKLCH(.42 .085 160)", "phone": "0800 555 0142"}

    saved = client.post(page, data=form)

    assert saved.headers["Location"] == page
    assert (brand.name, brand.colour, brand.phone) == ("Fjell & Fjord", "oklch(.42 .085 160)", "0800 555 0142")
    event = db.session.scalars(select(Event).where(Event.kind == "brand.changed")).one()
    assert (event.actor, event.data) == (
        f"staff:{boss.id}",
        {"brand": brand.id, "fields": ["colour", "name", "phone"]},
    )


def test_a_currency_that_is_none_is_refused_at_its_field(client: Client, boss: Staff) -> None:
    brand = make_brand()
    page = f"/settings/brands/{brand.key}"

    answer = client.post(page, data=fields(client, page) | {"contact_cost": "4.80", "currency": "XXX"})

    assert answer.status_code == 422
    assert "4.80" in answer.text


def test_what_a_contact_costs_is_an_amount_in_the_brand_s_currency(client: Client, boss: Staff) -> None:
    brand = make_brand()
    page = f"/settings/brands/{brand.key}"
    assert fields(client, page)["contact_cost"] == [""]

    client.post(page, data=fields(client, page) | {"contact_cost": "4.80"})
    assert brand.contact_cost_minor == 480

    shown = fields(client, page)
    assert shown["contact_cost"] == ["€4.80"]
    client.post(page, data=shown)
    assert brand.contact_cost_minor == 480
    client.post(page, data=fields(client, page) | {"contact_cost": ""})
    assert brand.contact_cost_minor is None


@pytest.mark.parametrize("typed", ["-1", "much", "CHF 5", "1.234", "99999999999999"])
def test_no_cost_of_a_contact_is_refused_at_its_field(client: Client, boss: Staff, typed: str) -> None:
    brand = make_brand()
    page = f"/settings/brands/{brand.key}"

    refused = client.post(page, data=fields(client, page) | {"contact_cost": typed})

    assert refused.status_code == 422
    assert 'id="contact_cost-e"' in refused.text
    assert f'value="{typed}"' in refused.text
    assert brand.contact_cost_minor is None


def test_saving_a_brand_unchanged_records_nothing(client: Client, boss: Staff) -> None:
    page = f"/settings/brands/{make_brand().key}"

    assert client.post(page, data=fields(client, page)).status_code == 302
    assert kinds() == []


def test_a_new_brand_gets_its_key_and_zone_for_good(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    form = fields(client, "/settings/brands?new=1", "/settings/brands") | {
        "key": "fjell",
        "name": "Fjell",
        "sender_name": "Fjell",
        "sender_address": "care@fjell.example",
        "zone": "Asia/Tokyo",
        "calendar": calendar.public_id,
    }

    made = client.post("/settings/brands", data=form)

    assert made.headers["Location"] == "/settings/brands/fjell"
    brand = db.session.scalars(select(Brand).where(Brand.key == "fjell")).one()
    assert (brand.zone, brand.calendar_id) == ("Asia/Tokyo", calendar.id)
    assert "zone" not in fields(client, "/settings/brands/fjell")


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("name", "", "as customers know it"),
        ("name", "A\0b", "letters, digits"),
        ("colour", "red;}body{display:none", "as #115e79"),
        ("colour", "url(//x)", "as #115e79"),
        ("sender_address", "care", "looks like"),
        ("reply_address", "care@x.example\nBcc: a@b.example", "looks like"),
        ("privacy_url", "javascript:alert(1)", "begins with https://"),
        ("phone", "<b>ring</b>", "has digits"),
        ("currency", "XXX", "valid choice"),
        ("calendar", "none", "valid choice"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field_and_kept(
    client: Client, boss: Staff, field: str, value: str, way_out: str
) -> None:
    brand = make_brand()
    page = f"/settings/brands/{brand.key}"

    refused = client.post(page, data=fields(client, page) | {field: value, "sender_name": "Kept as typed"})

    assert refused.status_code == 422
    assert way_out in words(refused.text)
    assert f'id="{field}-e"' in refused.text
    assert "Kept as typed" in refused.text
    assert db.session.scalar(select(Brand.sender_name)) == "Northwind Outdoor"


def test_a_short_name_that_is_taken_is_refused_at_its_field(client: Client, boss: Staff) -> None:
    brand = make_brand()
    form = fields(client, "/settings/brands?new=1", "/settings/brands")
    more = {"key": brand.key, "name": "Two", "sender_name": "Two", "sender_address": "a@b.example"}

    refused = client.post("/settings/brands", data=form | more)

    assert refused.status_code == 409
    assert "has this short name already" in words(refused.text)
    assert 'id="key-e"' in refused.text


def test_two_people_who_edit_a_brand_see_both_versions(app: Flask, client: Client, boss: Staff) -> None:
    brand = make_brand(phone="1111")
    page = f"/settings/brands/{brand.key}"
    hers = app.test_client()
    hers.sign_in(make_staff("admin", name="Ana Lima"))
    mine, theirs = fields(client, page), fields(hers, page)

    hers.post(page, data=theirs | {"phone": "2222"})
    conflict = client.post(page, data=mine | {"phone": "3333"})

    assert conflict.status_code == 409
    assert "Ana Lima saved this" in words(conflict.text)
    assert "Phone 2222 3333" in words(conflict.text)
    assert brand.phone == "2222"

    again = client.post(page, data=_form_in(client, conflict.text, page))

    assert again.status_code == 302
    assert brand.phone == "3333"


def _form_in(client: Client, text: str, action: str) -> dict[str, object]:
    from tests.settings_pages import _Fields

    reader = _Fields(action)
    reader.feed(text)
    return {name: values for name, values in reader.found.items() if name != "csrf_token"}


def test_a_team_of_one_brand_changes_that_brand_alone(client: Client) -> None:
    own, other = make_brand(), make_brand()
    client.sign_in(make_staff("admin", team=make_team(own)))
    form = fields(client, f"/settings/brands/{own.key}")

    assert other.name not in client.get("/settings/brands").text
    assert client.get(f"/settings/brands/{other.key}").status_code == 404
    assert client.post(f"/settings/brands/{other.key}", data=form).status_code == 404
    assert client.post(f"/settings/calendars/{other.calendar.public_id}", data=form).status_code == 404
    assert client.post("/settings/brands", data=form).status_code == 403
    assert client.post("/settings/journey", data={"name": "Discover"}).status_code == 403


# Calendars


def test_a_calendar_takes_hours_as_people_write_them(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    page = f"/settings/calendars/{calendar.public_id}"
    form = fields(client, page) | {
        "mon": "13-18, 9:00 – 12.30",
        "tue": "",
        "sat": "0:00-24:00",
        "closed_on": "2026-12-24",
    }

    saved = client.post(page, data=form | {"country": "DE", "region": "Hamburg"})

    assert saved.status_code == 302
    assert calendar.weekly["mon"] == [["09:00", "12:30"], ["13:00", "18:00"]]
    assert "tue" not in calendar.weekly
    assert calendar.weekly["sat"] == [["00:00", "24:00"]]
    assert (calendar.holiday_country, calendar.closed_on) == ("DE-HH", ["2026-12-24"])
    assert kinds() == ["calendar.changed"]


@pytest.mark.parametrize(
    ("given", "field", "way_out"),
    [
        (dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ""), "mon", "Give at least one day its hours"),
        ({"mon": "9-12, 11-13"}, "mon", "overlap"),
        ({"mon": "22:00-02:00"}, "mon", "go on the next day"),
        ({"mon": "morning"}, "mon", "Write hours as"),
        ({"mon": "9-25"}, "mon", "no time of day"),
        ({"mon": "9:70-12"}, "mon", "no time of day"),
        ({"closed_on": "24.12."}, "closed_on", "Write each as 2026-12-24"),
        ({"region": "HH"}, "region", "Choose the country first"),
        ({"country": "DE", "region": "Atlantis"}, "region", "There are: Augsburg, BB"),
        ({"zone": "Mars/Base"}, "zone", "valid choice"),
        ({"name": ""}, "name", "Give it a name"),
    ],
)
def test_hours_that_mean_nothing_are_refused_at_their_field(
    client: Client, boss: Staff, given: dict[str, str], field: str, way_out: str
) -> None:
    calendar = make_brand().calendar
    before = dict(calendar.weekly)
    page = f"/settings/calendars/{calendar.public_id}"

    refused = client.post(page, data=fields(client, page) | given)

    assert refused.status_code == 422
    assert way_out in words(refused.text)
    assert f'id="{field}-e"' in refused.text
    assert all(value in refused.text for value in given.values() if field != "zone")
    assert calendar.weekly == before


def test_closed_days_that_leave_nothing_open_are_refused(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    page = f"/settings/calendars/{calendar.public_id}"
    today = clock.now().date()
    mondays = [today + timedelta(days=ahead) for ahead in range(375) if (today + timedelta(days=ahead)).weekday() == 0]
    only_mondays = {"mon": "9-17", **dict.fromkeys(("tue", "wed", "thu", "fri"), "")}

    refused = client.post(page, data=fields(client, page) | only_mondays | {"closed_on": "\n".join(map(str, mondays))})

    assert refused.status_code == 422
    assert "Take some of them away" in words(refused.text)
    assert 'id="closed_on-e"' in refused.text


def test_a_preview_shows_two_weeks_as_typed_and_saves_nothing(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    page = f"/settings/calendars/{calendar.public_id}"
    tomorrow = str(clock.now().date() + timedelta(days=2))

    shown = client.post(page, data=fields(client, page) | {"sun": "10-11", "closed_on": tomorrow, "preview": "1"})

    assert shown.status_code == 200
    assert "As typed, not saved yet" in words(shown.text)
    assert words(shown.text).count("10:00–11:00") == 2
    assert "closed: a closed day of this calendar" in words(shown.text)
    assert "sun" not in calendar.weekly


def test_a_new_calendar_with_a_taken_name_is_refused(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    form = fields(client, "/settings/calendars?new=1", "/settings/calendars")

    refused = client.post("/settings/calendars", data=form | {"name": calendar.name})
    made = client.post("/settings/calendars", data=form | {"name": "Night shift"})

    assert refused.status_code == 409
    assert "has this name already" in words(refused.text)
    assert made.status_code == 302
    assert db.session.scalar(select(Calendar.zone).where(Calendar.name == "Night shift")) == "Europe/Berlin"


def test_two_people_who_edit_a_calendar_see_both_versions(client: Client, boss: Staff) -> None:
    calendar = make_brand().calendar
    page = f"/settings/calendars/{calendar.public_id}"
    form = fields(client, page)

    client.post(page, data=form | {"mon": "8-12"})
    conflict = client.post(page, data=form | {"mon": "10-14"})

    assert conflict.status_code == 409
    assert "Monday 08:00–12:00 10:00–14:00" in words(conflict.text)
    assert calendar.weekly["mon"] == [["08:00", "12:00"]]


# The journey


def test_stages_are_added_renamed_and_put_in_order(client: Client, boss: Staff) -> None:
    for name in ("Discover", "Buy", "Use"):
        client.post("/settings/journey", data={"name": name})
    client.post("/settings/journey/use/place", data={"act": "up"})
    client.post("/settings/journey/buy", data={"name": "Check out"})

    stages = db.session.scalars(select(Stage).order_by(Stage.position)).all()

    assert [(each.key, each.name, each.position) for each in stages] == [
        ("discover", "Discover", 1),
        ("use", "Use", 2),
        ("buy", "Check out", 3),
    ]
    assert kinds() == ["stage.added"] * 3 + ["stage.moved", "stage.renamed"]


def test_two_stages_of_one_name_are_refused(client: Client, boss: Staff) -> None:
    for name in ("Discover", "Buy"):
        client.post("/settings/journey", data={"name": name})

    added = client.post("/settings/journey", data={"name": "discover"})
    renamed = client.post("/settings/journey/buy", data={"name": "DISCOVER"})

    assert (added.status_code, renamed.status_code) == (409, 409)
    assert "has this name already" in words(added.text)
    assert 'value="DISCOVER"' in renamed.text
    assert db.session.scalars(select(Stage.name).order_by(Stage.position)).all() == ["Discover", "Buy"]


def test_a_stage_with_touchpoints_in_use_cannot_be_archived(client: Client, boss: Staff) -> None:
    touchpoint = make_touchpoint()
    place = f"/settings/journey/{touchpoint.stage.key}/place"

    refused = client.post(place, data={"act": "archive"}, follow_redirects=True)
    assert "Move them to another one first" in words(refused.text)

    touchpoint = db.session.scalars(select(Touchpoint)).one()
    touchpoint.archived_at = clock.now()
    client.post(place, data={"act": "archive"})
    assert db.session.scalar(select(Stage.archived_at)) is not None

    client.post(place, data={"act": "take_back"})
    assert db.session.scalar(select(Stage.archived_at)) is None


# Teams


def test_a_team_gets_its_members_and_they_see_its_brand(client: Client, boss: Staff) -> None:
    brand, ana = make_brand(), make_staff("agent")
    page = fields(client, "/settings/teams?new=1", "/settings/teams")

    made = client.post("/settings/teams", data=page | {"name": "Summit", "brand": brand.key, "members": ana.public_id})

    team = db.session.scalars(select(Team)).one()
    assert made.headers["Location"] == f"/settings/teams/{team.public_id}"
    assert (team.brand_id, ana.team_id) == (brand.id, team.id)

    form = fields(client, f"/settings/teams/{team.public_id}")
    client.post(f"/settings/teams/{team.public_id}", data=form | {"members": []})
    assert ana.team_id is None
    assert kinds() == ["team.created", "team.changed"]


def test_a_team_name_that_is_taken_is_refused(client: Client, boss: Staff) -> None:
    make_team(name="Support")
    page = fields(client, "/settings/teams?new=1", "/settings/teams")

    refused = client.post("/settings/teams", data=page | {"name": "Support"})

    assert refused.status_code == 409
    assert 'id="name-e"' in refused.text


def test_whoever_sees_one_brand_lets_nobody_see_the_others(client: Client) -> None:
    brand = make_brand()
    team, other = make_team(brand), make_team(make_brand())
    me = make_staff("admin", team=team)
    client.sign_in(me)
    page = f"/settings/teams/{team.public_id}"
    form = fields(client, page)

    left = client.post(page, data=form | {"members": []})
    widened = client.post(page, data=form | {"brand": ""})

    assert (left.status_code, widened.status_code) == (422, 422)
    assert "sees every brand" in words(left.text)
    assert client.get(f"/settings/teams/{other.public_id}").status_code == 404
    assert (me.team_id, team.brand_id) == (team.id, brand.id)
