"""Every page, light and dark, on a phone and on a desk: accessible, in order, as wide as its screen, without an error.

New routes come in by themselves: staff pages and pages for customers are taken from the application's map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Page
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock, tokens
from core.access import Kind
from core.db import db, new_public_id
from customers import erasure
from customers.models import Customer
from feedback import assignments, entries, outcome, promises, resolutions
from feedback.models import Case, Complaint, CorrectiveAction, Problem, SlaPolicy
from feedback.promises import Appointment
from incentives.models import Fulfilment, Programme
from insights import rollups
from notifications.models import MailboxMessage, Message
from surveys import versions
from surveys.models import Invitation, InvitationState
from tests.amounts import RUNS_ALL, STUCK_SECONDS
from tests.axe import violations
from tests.factories import (
    make_brand,
    make_invitation,
    make_problem,
    make_programme,
    make_staff,
    make_team,
)
from tests.journeys.northwind import Shop, Visit, hanna, let_in, tell_of_a_call, work
from tests.test_access import routes

pytestmark = [pytest.mark.journey, pytest.mark.timeout(STUCK_SECONDS)]
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, Scheme] = ("light", "dark")
WIDTHS = (390, 1440)
NARROWEST = 320
NO_PAGES = {"mailbox.document", "messages.document", "filing.download"}  # mails, and what is taken home
NO_PAGES |= {"design.design", "design.public_design"}  # tests/core looks at them
LEADS_NOWHERE = {"/nowhere", "/desk/cases/999999", "/s/unknown", "/c/unknown", "/u/unknown", "/t/unknown", "/tf-rescue"}
HEADINGS = """() => [...document.querySelectorAll("h1")].filter((heading) => heading.checkVisibility()).length"""


@dataclass
class Town:
    """The shop with something behind every address."""

    shop: Shop
    case: Case
    won: Case
    admin: Staff
    arguments: dict[str, dict[str, Any]]
    public: list[str]
    staff: list[str]


@pytest.fixture
def town(app: Flask, shop: Shop, arguments: dict[str, dict[str, Any]]) -> Town:
    now = clock.now()
    admin, ana = shop.staff("admin", "Ada Berg"), shop.staff("agent", "Ana Silva")
    case = shop.unhappy(customer=hanna(name="Hanna Keller"))
    won = shop.unhappy(customer=hanna(name="Eilidh Murray"), now=now - timedelta(days=2))
    waiting = shop.unhappy(customer=hanna(name="نور حداد", language="ar"), comment="وصلت الحقيبة ناقصة.")
    talk(case, ana, shop)
    settle(won, ana, shop)
    entries.reply(waiting, body="Wir kümmern uns.", last_seen=10**9, by=ana, wait=True, now=now)
    answered(shop)
    rollups.fold(limit=1000, now=now)
    tell_of_a_call(shop)
    work()
    own, public = behind_addresses(shop, case), public_pages(shop, case, won, waiting)
    db.session.commit()
    behind = {**own, **arguments, **own}  # the first start that fits is taken, and the shop's own rows before others
    return Town(shop, case, won, admin, behind, public, staff_pages(shop, won))


def talk(case: Case, ana: Staff, shop: Shop) -> None:
    """Let a case have one of everything."""
    now = clock.now()
    assignments.claim(case, ana, now)
    entries.log_call(case, reached=True, minutes=7, body="Only the poles matter.", by=ana, now=now)
    entries.note(case, body="Prefers texts.", by=ana, now=now)
    soon = now + timedelta(days=1)
    when = Appointment(soon.date(), soon.time().replace(second=0, microsecond=0), "UTC")
    promises.make(case, words="New tent poles at the door", when=when, keeper=ana, by=ana, now=now)
    entries.customer_reply(case, body="Thank you for ringing.", form_key="x" * 22, now=now)


def settle(case: Case, ana: Staff, shop: Shop) -> None:
    """Resolve a case and let its customer be won back."""
    now = clock.now()
    resolutions.resolve(case, by=ana, cause=shop.cause, words="Sent new poles.", now=now)
    check = outcome.mark_fixed(case, now)
    assert check is not None
    outcome.record_answer(check.id, metric="nps", score=9, now=now)


def answered(shop: Shop) -> None:
    """Let so many customers answer that a score may be shown."""
    for score in (9, 10, 8, 9, 10):
        shop.client.post(f"/s/{survey_token(shop)}", data={"nps": str(score)})


def behind_addresses(shop: Shop, case: Case) -> dict[str, dict[str, Any]]:
    """Return by the start of a path what stands behind it here; the list of who may get in has the rest."""
    assert case.customer is not None
    complaint = complaint_of_a_stranger(shop)
    asked = versions.definition_of(versions.current(shop.survey.id).id)
    versions.draft(shop.survey, asked.to_json(), by="system", now=clock.now())
    return {
        "/s/": {"token": survey_token(shop)},
        "/c/": {"token": tokens.sign("case", case.public_id)},
        "/u/<token>/unsubscribe": {"token": tokens.sign("unsubscribe", newest_invitation().public_id)},
        "/t/": {"touchpoint": shop.touchpoint.key, "token": told_by_a_stranger(shop)},
        "/complaints/sent/": {"token": tokens.sign("receipt", complaint)},
        "/complaints/confirm/": {"token": tokens.sign("confirm", complaint)},
        "/desk/cases/<number>/promises/": {"number": case.number, "public_id": promises.of(case.id)[-1].public_id},
        "/customers/": {"public_id": case.customer.public_id, "other": hanna(name="H. Keller").public_id},
        "/desk/": {"number": case.number},
        "/incentives/": {"public_id": pool().public_id},
        "/insights/problems/": {"public_id": acted_upon(shop).public_id},
        "/mailbox/": {"mail_id": newest_mail_id()},
        "/settings/deadlines/": {"public_id": make_deadline().public_id},
        "/surveys/library/": {"template": "nps_after_contact"},
        "/surveys/": {"key": shop.survey.key},
    }


def told_by_a_stranger(shop: Shop) -> str:
    """Answer the touchpoint's open form; return the token of its thank-you page."""
    form_key = new_public_id()
    path = f"/t/{shop.touchpoint.key}"
    shop.client.post(path, data={"nps": "9", "form_key": tokens.sign("open", form_key)})
    return tokens.sign("answer", form_key)


def complaint_of_a_stranger(shop: Shop) -> str:
    """File a complaint with an address that is still to be confirmed; return its public id."""
    typed = {"what": "One pole is cracked right through.", "d": "1", "m": "2", "y": "2024", "right": "replace"}
    typed |= {"via": "email", "email": "somebody@customer.example", "name": "Ida Lund"}
    answer = shop.client.post(f"/complaints/new?brand={shop.brand.key}", data=typed)
    assert answer.status_code == 303, answer.text
    return db.session.scalars(select(Complaint.public_id)).one()


def acted_upon(shop: Shop) -> Problem:
    """A problem about which something was changed, and what to tell customers of it."""
    problem = make_problem(touchpoint=shop.touchpoint, known="One van.", tell="A new one leaves today.")
    on, key = (clock.now() - timedelta(days=9)).date(), new_public_id()
    action = CorrectiveAction(words="Another courier", acted_on=on, form_key=key, by="system", at=clock.now())
    problem.actions.append(action)
    db.session.flush()
    return problem


def make_deadline() -> SlaPolicy:
    """A policy of nobody's cases, for its page."""
    hours = {"first_contact_minutes": 60, "next_response_minutes": 120, "resolution_minutes": 480}
    policy = SlaPolicy(name="Four hours for Summit", position=900, conditions={}, **hours)
    db.session.add(policy)
    db.session.flush()
    return policy


def pool() -> Programme:
    """A programme whose codes are uploaded, which has more pages than others."""
    return make_programme(make_brand(), name="Autumn thanks", fulfilment=Fulfilment.POOL)


def newest_invitation() -> Message:
    """Return the message that carried an invitation last."""
    newest = select(Message).where(Message.kind == "invitation").order_by(Message.id.desc()).limit(1)
    return db.session.scalars(newest).one()


def newest_mail_id() -> int:
    return db.session.scalar(select(func.max(MailboxMessage.id))) or 0


def survey_token(shop: Shop, **more: Any) -> str:
    return tokens.sign("survey", make_invitation(shop.survey, hanna(), shop.touchpoint, **more).public_id)


def public_pages(shop: Shop, case: Case, won: Case, waiting: Case) -> list[str]:
    """Return what the map does not tell: languages, links that are over, cases in each state."""
    survey, over = survey_token(shop), {"state": InvitationState.SENT, "expires_at": clock.now() - timedelta(days=1)}
    thanked = db.session.scalar(select(Invitation).where(Invitation.state == InvitationState.ANSWERED).limit(1))
    assert thanked is not None
    pages = [f"/s/{survey}?score={score}&lang={code}" for score, code in ((2, "de"), (2, "ar"), (8, "en"), (10, "en"))]
    pages += [f"/s/{tokens.sign('survey', thanked.public_id)}/thanks?lang={code}" for code in ("en", "ar")]
    pages += [f"/c/{tokens.sign('case', each.public_id)}" for each in (case, won, waiting)]
    pages += [f"/c/{tokens.sign('case', case.public_id)}?lang=de&said=reply"]
    pages += [f"/c/{tokens.sign('case', erased(shop).public_id)}?lang={code}" for code in ("en", "ar")]
    return [*pages, f"/s/{survey_token(shop, **over)}", "/s/unknown", "/c/unknown", "/u/unknown", "/t/unknown"]


def erased(shop: Shop) -> Case:
    """A case of somebody who was erased."""
    case = shop.unhappy(customer=hanna(name="Ida Lund"))
    assert case.customer is not None
    erasure.erase(case.customer, by="system", now=clock.now())
    return case


def staff_pages(shop: Shop, won: Case) -> list[str]:
    """Return views of pages that the map tells only once, and errors."""
    assert won.customer is not None
    return [
        "/desk?queue=verify",
        "/desk?tier=nobody&group=owner",
        f"/desk/cases/{won.number}",
        f"/desk/cases/{won.number}?act=promise",
        f"/incentives/{shop.goodwill.public_id}",
        "/incentives/new?trigger=goodwill",
        *(f"/settings/{page}?new=1" for page in ("brands", "calendars", "touchpoints", "deadlines", "teams")),
        f"/customers/{won.customer.public_id}",
        f"/customers/{won.customer.public_id}?show=consent",
        f"/customers/{won.customer.public_id}/merge?q=nobody-at-all",
        f"/customers/{erased_customer().public_id}",
        "/customers?q=nobody-at-all",
        "/mailbox?to=nobody@customer.example",
        "/nowhere",
        "/desk/cases/999999",
    ]


def erased_customer() -> Customer:
    return db.session.scalars(select(Customer).where(Customer.erased_at.is_not(None)).limit(1)).one()


def mapped(app: Flask, town: Town, *kinds: Kind) -> list[str]:
    """Return the addresses of all pages that routes of these kinds serve to a browser."""
    found = []
    for route in routes(app, town.arguments):
        is_file = route.path.rpartition("/")[2].rpartition(".")[2] in {"json", "csv", "css", "xlsx", "toml"}
        if route.method == "GET" and route.rule.kind in kinds and not is_file and route.endpoint not in NO_PAGES:
            found.append(route.path)
    return found


@dataclass
class Sight:
    """A page as one reader sees it."""

    address: str
    width: int
    scheme: Scheme


def sights(addresses: list[str], every: bool) -> Iterator[Sight]:
    """Return each address in every look, or in one look each, in turn."""
    looks = [(width, scheme) for scheme in SCHEMES for width in WIDTHS]
    for number, address in enumerate(addresses):
        for width, scheme in looks if every else [looks[number % len(looks)]]:
            yield Sight(address, width, scheme)


def faults(page: Page, sight: Sight) -> Iterator[tuple[Any, ...]]:
    """Yield what is wrong with a page; nothing for what is no page."""
    page.set_viewport_size({"width": sight.width, "height": 900})
    page.emulate_media(color_scheme=sight.scheme, reduced_motion="reduce")
    answer = page.goto(sight.address)
    assert answer is not None
    if "text/html" not in answer.headers["content-type"]:
        return
    where = (sight.address, sight.width, sight.scheme)
    if answer.status >= 500 or (answer.status == 404 and sight.address not in LEADS_NOWHERE):
        yield (*where, answer.status)
    for violation in violations(page):
        yield (*where, *violation)
    if page.evaluate(HEADINGS) != 1:
        yield (*where, "has not one h1")
    if not page.title().partition("·")[0].strip():
        yield (*where, "has no title of its own")
    page.set_viewport_size({"width": NARROWEST, "height": 900})
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > NARROWEST:
        yield (*where, f"is {wide} px wide at {NARROWEST}")


def all_faults(page: Page, addresses: list[str], *, every: bool) -> list[tuple[Any, ...]]:
    return [fault for sight in sights(list(dict.fromkeys(addresses)), every) for fault in faults(page, sight)]


def assert_none(found: list[tuple[Any, ...]]) -> None:
    """Fail with all that was found: an assertion would cut the list short."""
    if found:
        pytest.fail("\n".join(map(str, found)), pytrace=False)


LOOKS = pytest.mark.parametrize("every", [RUNS_ALL], ids=["every look" if RUNS_ALL else "one look"])


@LOOKS
def test_pages_of_staff_have_no_fault(app: Flask, town: Town, desk: Page, every: bool) -> None:
    let_in(desk, town.admin, "/profile")

    addresses = [*mapped(app, town, Kind.NEEDS, Kind.SIGNED_IN, Kind.MAILBOX), *town.staff]

    assert_none(all_faults(desk, addresses, every=every))
    assert len(addresses) > 30


@LOOKS
def test_pages_for_customers_and_strangers_have_no_fault(app: Flask, town: Town, desk: Page, every: bool) -> None:
    addresses = [*mapped(app, town, Kind.LINK, Kind.PUBLIC), *town.public]

    assert_none(all_faults(desk, addresses, every=every))
    assert len(addresses) > 20


@LOOKS
def test_what_each_role_sees_first_has_no_fault(town: Town, visit: Visit, every: bool) -> None:
    found = []
    for role in ("lead", "agent", "marketer", "analyst"):
        found += all_faults(let_in(visit(), make_staff(role), "/profile"), ["/", "/desk", "/insights"], every=every)

    assert_none(found)


def test_pages_with_nothing_on_them_yet_have_no_fault(shop: Shop, visit: Visit) -> None:
    brand = make_brand(name="Fjord")
    lead, marketer = (make_staff(role, team=make_team(brand)) for role in ("lead", "marketer"))

    found = all_faults(let_in(visit(), lead, "/profile"), ["/", "/desk", "/customers", "/insights"], every=False)
    found += all_faults(let_in(visit(), marketer, "/profile"), ["/incentives", "/mailbox", "/"], every=False)

    assert_none(found)


def test_pages_that_refuse_what_was_typed_have_no_fault(town: Town, desk: Page) -> None:
    case, survey = f"/desk/cases/{town.case.number}", survey_token(town.shop)
    let_in(desk, town.admin, case)
    found: list[tuple[Any, ...]] = []
    for address, button in (
        (f"{case}?act=reply", "Send"),
        (f"{case}?act=resolve", "Resolve and ask again"),
        ("/incentives/new", "Make the draft"),
        ("/desk/cases/new", "Open the case"),
        ("/settings/staff", "Make a welcome link"),
        (f"/s/{survey}", "Send my answer"),
        (f"/c/{tokens.sign('case', town.case.public_id)}", "Send"),
    ):
        desk.goto(address)
        desk.evaluate("document.querySelectorAll('form').forEach((form) => (form.noValidate = true))")
        desk.get_by_role("main").get_by_role("button", name=button).first.click()
        desk.wait_for_load_state()
        found += [(address, *violation) for violation in violations(desk)]
        if desk.get_by_role("alert").count() != 1:
            found.append((address, "does not say what is wrong"))

    assert_none(found)
