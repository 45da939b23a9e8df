"""Staff come, change and go; somebody can always administer the place; brands are seen by their own teams."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from accounts import staff
from accounts.models import Staff
from accounts.permissions import ALL, OF_ROLE, RoleName, allows
from accounts.visibility import visible_to
from core import clock
from core.db import db
from core.events import Event
from customers.models import Brand
from tests.client import Client
from tests.factories import PASSWORD, make_brand, make_staff, make_team


def test_an_address_is_taken_whatever_its_case(app: Flask) -> None:
    make_staff(email="ana@northwind.example")

    with pytest.raises(staff.EmailTaken):
        make_staff(email="ANA@northwind.example")

    assert len(db.session.scalars(select(Staff)).all()) == 1


def test_every_change_is_an_event_of_ids_and_codes(app: Flask) -> None:
    boss, ana = make_staff("admin"), make_staff("agent")

    staff.change(ana, name="Ana B", roles=["lead"], team=None, by=boss, now=clock.now())
    staff.disable(ana, by=boss, now=clock.now())

    seen = db.session.execute(select(Event.kind, Event.actor, Event.data).order_by(Event.id)).all()[-2:]
    assert [row.kind for row in seen] == ["staff.changed", "staff.disabled"]
    assert {row.actor for row in seen} == {f"staff:{boss.id}"}
    assert seen[0].data == {"staff": ana.id, "roles": ["lead"], "before": ["agent"]}


def test_the_last_administrator_stays_one(app: Flask) -> None:
    boss, other = make_staff("admin"), make_staff("agent")

    with pytest.raises(staff.LastAdmin):
        staff.change(boss, name="Boss", roles=["lead"], team=None, by=boss, now=clock.now())
    with pytest.raises(staff.LastAdmin):
        staff.disable(boss, by=other, now=clock.now())

    assert boss.active
    assert boss.role_names == ["admin"]


def test_a_disabled_administrator_does_not_count_as_one(app: Flask) -> None:
    boss, gone = make_staff("admin"), make_staff("admin")
    staff.disable(gone, by=boss, now=clock.now())

    with pytest.raises(staff.LastAdmin):
        staff.change(boss, name="Boss", roles=["agent"], team=None, by=boss, now=clock.now())


def test_nobody_disables_themselves(app: Flask) -> None:
    boss = make_staff("admin")
    make_staff("admin")

    with pytest.raises(staff.NotYourself):
        staff.disable(boss, by=boss, now=clock.now())


def test_an_administrator_may_all_and_an_unknown_role_nothing() -> None:
    assert set().union(*OF_ROLE.values()) == ALL == OF_ROLE[RoleName.ADMIN]
    assert not allows("owner", "home.see")
    assert not allows("admin", "no.such")


def test_somebody_disabled_may_nothing(app: Flask) -> None:
    boss = make_staff("admin")
    boss.active = False

    assert not boss.may("home.see")


def test_several_roles_add_up(app: Flask) -> None:
    ana = make_staff(roles=["agent", "marketer"])

    assert ana.may("cases.work")
    assert ana.may("surveys.edit")
    assert not ana.may("staff.manage")


def test_a_team_of_one_brand_sees_that_brand_alone(app: Flask) -> None:
    ours, _other = make_brand(), make_brand()
    bound, free = make_staff(team=make_team(ours)), make_staff(team=make_team())

    assert db.session.scalars(visible_to(bound, select(Brand), Brand.id)).all() == [ours]
    assert len(db.session.scalars(visible_to(free, select(Brand), Brand.id)).all()) == 2
    assert len(db.session.scalars(visible_to(make_staff(), select(Brand), Brand.id)).all()) == 2


def test_the_command_makes_an_administrator_with_a_link(app: Flask, client: Client) -> None:
    arguments = ["staff", "create", "Boss@northwind.example", "--name", "Bo Berg", "--role", "admin"]

    result = app.test_cli_runner().invoke(args=arguments)

    assert result.exit_code == 0, result.output
    link = result.output.split(" chosen at ")[1].split(" ")[0]
    assert client.get(link.removeprefix(app.extensions["config"].base_url)).status_code == 200
    boss = staff.by_email("boss@northwind.example")
    assert boss is not None
    assert boss.may("staff.manage")


def test_the_command_takes_a_password_and_refuses_a_short_one(app: Flask, client: Client) -> None:
    arguments = ["staff", "create", "ana@northwind.example", "--name", "Ana", "--role", "agent", "--password-stdin"]

    short = app.test_cli_runner().invoke(args=arguments, input="short\n")
    good = app.test_cli_runner().invoke(args=arguments, input=f"{PASSWORD}\n")
    twice = app.test_cli_runner().invoke(args=arguments, input=f"{PASSWORD}\n")

    assert short.exit_code == 1
    assert good.exit_code == 0, good.output
    assert "already here" in twice.output
    signed_in = client.post("/login", data={"email": "ana@northwind.example", "password": PASSWORD})
    assert signed_in.status_code == 302
