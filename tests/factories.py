"""Rows for tests, as small as they can be: each function makes one thing, flushes it and returns it.

Whoever needs a thing first adds its function at the end. Names and addresses are counted, so that nothing collides.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from accounts import api_keys, staff
from accounts.models import ApiKey, Staff, Team
from core import clock
from core.db import db, new_public_id
from customers.mapping import Kind
from customers.models import Brand, Calendar, Customer, Interaction, Stage, Touchpoint
from feedback import cases, opening
from feedback.models import Case, Problem, ProblemState, RootCause
from incentives import programmes
from incentives.models import Fulfilment, Programme, ProgrammeState, Trigger
from insights import uploads
from insights.models import Upload
from surveys import versions
from surveys.models import Invitation, InvitationRule, InvitationState, Survey

PASSWORD = "seven tents in the rain"  # of everybody made here
NO_RESPONSE = (
    1_000_000_000  # the numbers after it name no response that a test keeps: each case has a reason of its own
)
_numbers = count(1)


def make_brand(**more: Any) -> Brand:
    """A brand in Berlin that works Monday to Friday, 9 to 18."""
    number = next(_numbers)
    days = ("mon", "tue", "wed", "thu", "fri")
    calendar = Calendar(
        name=f"Calendar {number}", zone="Europe/Berlin", weekly={day: [["09:00", "18:00"]] for day in days}
    )
    values: dict[str, Any] = {
        "key": f"brand-{number}",
        "name": f"Brand {number}",
        "colour": "#115e79",
        "sender_name": "Northwind Outdoor",
        "sender_address": "care@northwind.example",
        "zone": "Europe/Berlin",
        "currency": "EUR",
        "language": "en",
        "calendar": calendar,
    }
    brand = Brand(**{**values, **more})
    db.session.add(brand)
    db.session.flush()
    return brand


def make_team(brand: Brand | None = None, **more: Any) -> Team:
    team = Team(**{"name": f"Team {next(_numbers)}", "brand": brand, **more})
    db.session.add(team)
    db.session.flush()
    return team


def make_staff(role: str = "agent", *, now: datetime | None = None, **more: Any) -> Staff:
    """A member of staff with one role (or `roles=`) who can sign in with PASSWORD; `client.sign_in(staff)` does."""
    number = next(_numbers)
    values: dict[str, Any] = {"name": f"Ana Person{number}", "roles": [role], "password": PASSWORD}
    email = more.pop("email", f"staff-{number}@northwind.example")
    return staff.create(email, by="system", now=now or clock.now(), **{**values, **more})


def make_api_key(*scopes: str, **more: Any) -> tuple[ApiKey, str]:
    """A key with scopes (default: all) and its secret."""
    wanted = scopes or tuple(api_keys.SCOPES)
    return api_keys.create("Test system", wanted, by=None, now=clock.now(), **more)


def make_touchpoint(brand: Brand | None = None, **more: Any) -> Touchpoint:
    number = next(_numbers)
    stage = Stage(key=f"stage-{number}", name="Get help", position=number % 1000)
    values: dict[str, Any] = {
        "key": f"touchpoint-{number}",
        "name": f"Phone call {number}",
        "brand": brand or make_brand(),
        "stage": stage,
        "icon": "phone",
        "phrases": {"en": "your call", "de": "Ihren Anruf", "ar": "مكالمتك"},
    }
    touchpoint = Touchpoint(**{**values, **more})
    db.session.add(touchpoint)
    db.session.flush()
    return touchpoint


def make_customer(**more: Any) -> Customer:
    number = next(_numbers)
    values: dict[str, Any] = {
        "external_id": f"C-{number}",
        "name": "Hanna Keller",
        "email": f"hanna-{number}@customer.example",
        "language": "en",
        "created_at": clock.now(),
    }
    customer = Customer(**{**values, **more})
    db.session.add(customer)
    db.session.flush()
    return customer


def make_interaction(
    touchpoint: Touchpoint | None = None, customer: Customer | None = None, **more: Any
) -> Interaction:
    number = next(_numbers)
    values: dict[str, Any] = {
        "touchpoint": touchpoint or make_touchpoint(),
        "customer": customer,
        "reference": f"R-{number}",
        "occurred_at": clock.now(),
        "received_at": clock.now(),
        "channel": "phone",
        "attributes": {},
    }
    interaction = Interaction(**{**values, **more})
    db.session.add(interaction)
    db.session.flush()
    return interaction


def make_case(brand: Brand | None = None, *, now: datetime | None = None, **more: Any) -> Case:
    """A case opened by an unhappy answer, with running clocks; `more` are fields of cases.UnhappyAnswer."""
    values: dict[str, Any] = {
        "response_id": NO_RESPONSE + next(_numbers),
        "survey_id": 1,
        "question": "recommend",
        "metric": "nps",
        "score": 2,
        "brand": brand or make_brand(),
        "touchpoint_id": None,
        "interaction_id": None,
        "why": ["late_or_damaged"],
        "words": "The tent came four days late.",
        "language": "en",
        "wants": "phone",
    }
    customer = more.pop("customer") if "customer" in more else make_customer()
    case = open_for_answer(customer=customer, now=now or clock.now(), **{**values, **more})
    assert case is not None
    return case


def open_for_answer(*, response_id: int, now: datetime, **fields: Any) -> Case | None:
    """Open the case of an unhappy answer that is not there, as an answer does that is kept beside it."""
    decided = cases.opening_of(cases.UnhappyAnswer(**fields), now=now)
    if decided is None:
        return None
    reason = f"response:{response_id}"
    opening.write(decided, reason=reason, response_id=response_id)
    return db.session.scalars(select(Case).where(Case.reason == reason).options(*cases.RELATED)).one()


def make_root_cause(**more: Any) -> RootCause:
    number = next(_numbers)
    cause = RootCause(**{"key": f"cause-{number}", "name": f"Courier damage {number}", **more})
    db.session.add(cause)
    db.session.flush()
    return cause


def make_problem(**more: Any) -> Problem:
    """A problem that somebody looks into; anywhere and of all brands, unless `more` says otherwise."""
    values: dict[str, Any] = {
        "title": f"Tents arrive damaged {next(_numbers)}",
        "public_id": new_public_id(),
        "form_key": new_public_id(),
        "state": ProblemState.OPEN,
        "opened_by": "staff:1",
        "opened_at": clock.now(),
    }
    problem = Problem(**values | more)
    db.session.add(problem)
    db.session.flush()
    return problem


def make_programme(brand: Brand | None = None, *, budget: int = 5000, running: bool = True, **more: Any) -> Programme:
    """A running programme of generated vouchers of €5 for answering; `budget` in cents. `more`: its columns."""
    now = clock.now()
    values: dict[str, Any] = {"trigger": Trigger.ANSWERED, "fulfilment": Fulfilment.GENERATED, "code_prefix": "THANKS"}
    values |= {"name": "Thank-you for answering", "reward_minor": 500, "terms": {"en": "One order over €20."}} | more
    trigger, brand = values.pop("trigger"), brand or make_brand()
    rules = programmes.Rules(starts_at=now - timedelta(days=1), **values)
    programme = programmes.create(rules, trigger=trigger, brand=brand, budget_minor=budget, by="system", now=now)
    if running:
        programme.state = ProgrammeState.RUNNING
        db.session.flush()
    return programme


def make_survey(brand: Brand | None = None, key: str = "nps_after_contact") -> Survey:
    """The built-in survey, published; the same one again if it is there."""
    return versions.install(key, brand=brand or make_brand(), by="system", now=clock.now())


def make_rule(touchpoint: Touchpoint | None = None, survey: Survey | None = None, **more: Any) -> InvitationRule:
    """A rule that invites everybody at once; `more`: its columns."""
    touchpoint = touchpoint or make_touchpoint()
    values: dict[str, Any] = {"key": f"rule-{next(_numbers)}", "touchpoint": touchpoint, "conditions": {}}
    values |= {"survey": survey or make_survey(touchpoint.brand)}
    rule = InvitationRule(**{**values, **more})
    db.session.add(rule)
    db.session.flush()
    return rule


def make_invitation(
    survey: Survey | None = None, customer: Customer | None = None, touchpoint: Touchpoint | None = None, **more: Any
) -> Invitation:
    """A sent invitation that can be answered for 30 days, about a call of `customer` (default: a new one)."""
    survey = survey or make_survey()
    customer = customer or make_customer()
    interaction = make_interaction(touchpoint or make_touchpoint(survey.brand), customer)
    values: dict[str, Any] = {
        "survey_id": survey.id,
        "version_id": versions.current(survey.id).id,
        "interaction_id": interaction.id,
        "touchpoint_id": interaction.touchpoint.id,
        "customer_id": customer.id,
        "channel": "email",
        "language": customer.language or "en",
        "state": InvitationState.SENT,
        "created_at": clock.now(),
        "send_at": clock.now(),
        "sent_at": clock.now(),
        "expires_at": clock.now() + timedelta(days=30),
        "partial": {},
    }
    invitation = Invitation(**{**values, **more})
    db.session.add(invitation)
    db.session.flush()
    return invitation


def make_upload(by: Staff, **more: Any) -> Upload:
    """A file of two complaints, matched and ready to be imported."""
    content = b"Id,Received,Text\n1,2024-03-01,Late\n2,2024-03-02,Broken\n"
    upload = uploads.keep(content, name="file.csv", brand=None, like=None, by=by, now=clock.now())
    table = {"zone": "UTC", "complaints": {"key": ["Id"], "received_at": "Received", "text": "Text"}}
    uploads.match(upload, table, Kind.COMPLAINTS)
    for name, value in more.items():
        setattr(upload, name, value)
    db.session.flush()
    return upload
