"""Northwind's house: brand, calendar, journey, staff, policies, causes, rules and programmes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from accounts import staff as accounts_staff
from accounts.models import Role, RoleName, Staff, Team
from cli.northwind.people import STAFF
from cli.northwind.voices import ROOT_CAUSES
from core.db import db
from customers.models import Brand, Calendar, Stage, Touchpoint
from feedback.models import Priority, RootCause, SlaPolicy
from incentives import budgets
from incentives.models import Fulfilment, Programme, ProgrammeState, Trigger
from surveys import versions
from surveys.models import InvitationRule, Survey

WEEK: Final = {day: [["08:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
STAGES: Final = (
    ("discover", "Discover"),
    ("buy", "Buy"),
    ("delivery", "Delivery"),
    ("use", "Use"),
    ("get-help", "Get help"),
    ("return", "Return"),
    ("leave", "Leave"),
)
TOUCHPOINTS: Final = (  # key, name, stage, icon, what a customer calls it; days of rest, share asked
    ("call-centre", "Phone call", "get-help", "phone", ("your call", "Ihren Anruf", "مكالمتك")),
    ("delivery", "Delivery", "delivery", "box", ("your delivery", "Ihre Lieferung", "طلبك")),
    ("web-shop", "Web shop", "buy", "form", ("your order", "Ihre Bestellung", "طلبك من الموقع")),
    ("store", "Store visit", "buy", "store", ("your visit", "Ihren Besuch", "زيارتك")),
    ("return", "Return", "return", "return", ("your return", "Ihre Rücksendung", "إرجاعك")),
    ("chat", "Chat", "get-help", "chat", ("your chat", "Ihren Chat", "محادثتك")),
)


@dataclass(frozen=True)
class House:
    brand: Brand
    calendar: Calendar
    touchpoints: dict[str, Touchpoint]
    survey: Survey
    version_id: int
    staff: dict[str, Staff]  # by first name
    team: Team
    summit_desk: Team  # works the best customers' cases
    causes: dict[str, RootCause]
    thanks: Programme
    goodwill: Programme


def build(*, password: str, now: datetime) -> House:
    """Make the house that everything else lives in, in the caller's transaction; staff all get the same password."""
    begun = now - timedelta(days=400)
    calendar = Calendar(name="Northwind service", zone="Europe/Berlin", weekly=WEEK, closed_on=[])
    db.session.add(calendar)
    db.session.flush()
    brand = _brand(calendar)
    team = Team(name="Support")
    db.session.add(team)
    summit = Team(name="Summit desk")
    db.session.add(summit)
    db.session.flush()
    staff = _staff(team, password=password, now=begun)
    staff["Priya"].team = summit
    touchpoints = _journey(brand)
    survey = versions.install("nps_after_contact", brand=brand, by="system", now=begun)
    thanks, goodwill = _programmes(brand, begun, now)
    _rules(touchpoints, survey, thanks)
    _policies(brand, team, summit)
    return House(
        brand=brand,
        calendar=calendar,
        touchpoints=touchpoints,
        survey=survey,
        version_id=versions.current(survey.id).id,
        staff=staff,
        team=team,
        summit_desk=summit,
        causes=_causes(),
        thanks=thanks,
        goodwill=goodwill,
    )


def _brand(calendar: Calendar) -> Brand:
    brand = Brand(
        key="northwind",
        name="Northwind Outdoor",
        colour="oklch(.42 .085 160)",
        sender_name="Northwind Outdoor",
        sender_address="care@northwind.example",
        reply_address="care@northwind.example",
        phone="0800 555 0142",
        phone_hours="08:00–20:00",
        zone="Europe/Berlin",
        currency="EUR",
        contact_cost_minor=480,
        language="en",
        calendar_id=calendar.id,
        main_survey_key="nps_after_contact",
    )
    db.session.add(brand)
    db.session.flush()
    return brand


def _staff(team: Team, *, password: str, now: datetime) -> dict[str, Staff]:
    known = set(db.session.scalars(select(Role.name)))
    db.session.add_all(Role(name=name) for name in RoleName if name not in known)
    db.session.flush()
    made = {}
    for name, email, role in STAFF:
        member = accounts_staff.create(
            email, name=name, roles=[role], by="system", now=now, password=password, team=team
        )
        made[member.first_name] = member
    return made


def _journey(brand: Brand) -> dict[str, Touchpoint]:
    stages = {key: Stage(key=key, name=name, position=place) for place, (key, name) in enumerate(STAGES, 1)}
    db.session.add_all(stages.values())
    db.session.flush()
    made = {
        key: Touchpoint(
            key=key,
            name=name,
            brand_id=brand.id,
            stage_id=stages[stage].id,
            icon=icon,
            phrases=dict(zip(("en", "de", "ar"), phrases, strict=True)),
        )
        for key, name, stage, icon, phrases in TOUCHPOINTS
    }
    db.session.add_all(made.values())
    db.session.flush()
    return made


def _rules(touchpoints: dict[str, Touchpoint], survey: Survey, thanks: Programme) -> None:
    for key, touchpoint in touchpoints.items():
        by_eye = key == "call-centre"  # one posted call can be followed by eye at once
        rule = InvitationRule(
            key=key,
            touchpoint_id=touchpoint.id,
            survey_id=survey.id,
            programme_id=thanks.id,
            delay_minutes=0 if by_eye else 120,
            sample_percent=100 if by_eye else 70,
            quarantine_days=30,
            conditions={"field": "status", "op": "==", "value": "completed"},
        )
        db.session.add(rule)
    db.session.flush()


def _policies(brand: Brand, team: Team, summit_desk: Team) -> None:
    summit = {"field": "tier", "op": "==", "value": "Summit"}
    worst = {"field": "score", "op": "<=", "value": 1}
    rows: tuple[tuple[str, int, dict[str, Any], int, int, int, str], ...] = (
        ("Summit tier", 10, summit, 120, 120, 960, Priority.HIGH),
        ("Score 0–1", 20, worst, 120, 240, 1440, Priority.URGENT),
        ("Score 0–6 or complaint", 30, {}, 240, 240, 1440, Priority.NORMAL),
    )
    for name, position, conditions, first, following, resolution, priority in rows:
        policy = SlaPolicy(
            name=name,
            brand_id=brand.id if conditions else None,  # the last one holds for whatever comes
            position=position,
            conditions=conditions,
            first_contact_minutes=first,
            next_response_minutes=following,
            resolution_minutes=resolution,
            priority=priority,
            team_id=summit_desk.id if conditions is summit else team.id,
            outcome_after_days=7,
        )
        db.session.add(policy)
    db.session.flush()


def _causes() -> dict[str, RootCause]:
    made: dict[str, RootCause] = {}
    for key, name, parent in ROOT_CAUSES:
        made[key] = RootCause(key=key, name=name, parent_id=made[parent].id if parent else None)
        db.session.add(made[key])
        db.session.flush()
    return made


def _programmes(brand: Brand, begun: datetime, now: datetime) -> tuple[Programme, Programme]:
    thanks = Programme(
        key="thank-you",
        name="Thank-you for answering",
        brand_id=brand.id,
        trigger=Trigger.ANSWERED,
        fulfilment=Fulfilment.GENERATED,
        code_prefix="FJELL",
        reward_minor=500,
        cap_per_customer=4,
        terms={
            "en": "One order over €20.",
            "de": "Einmalig ab 20 € Bestellwert.",
            "ar": "لطلب واحد تزيد قيمته على ٢٠ يورو.",
        },
        **_running(begun),
    )
    goodwill = Programme(
        key="goodwill",
        name="Goodwill credit",
        brand_id=brand.id,
        trigger=Trigger.GOODWILL,
        fulfilment=Fulfilment.GENERATED,
        code_prefix="GOODWILL",
        reward_minor=5000,
        cap_per_customer=3,
        customer_limit_minor=10000,
        staff_day_limit_minor=25000,
        terms={
            "en": "No minimum order.",
            "de": "Ohne Mindestbestellwert.",
            "ar": "بلا حد أدنى للطلب.",
        },
        **_running(begun),
    )
    db.session.add_all([thanks, goodwill])
    db.session.flush()
    budgets.fund(thanks, 2_500_000, by="system", now=begun)
    budgets.fund(goodwill, 1_500_000, by="system", now=begun)
    return thanks, goodwill


def _running(begun: datetime) -> dict[str, object]:
    return {
        "state": ProgrammeState.RUNNING,
        "currency": "EUR",
        "budget_minor": 0,
        "conditions": {},
        "starts_at": begun,
        "created_at": begun,
    }
