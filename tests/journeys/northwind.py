"""The shop that journeys walk through: a brand with a survey, rewards and people, and the mail its customers get."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from accounts.models import Staff
from core import clock, outbox, tokens
from core.db import db
from customers.models import Brand, Customer, Touchpoint
from feedback.models import Case, RootCause
from incentives.models import Programme, Trigger
from surveys.models import Survey
from tests.client import Client
from tests.factories import (
    PASSWORD,
    make_api_key,
    make_brand,
    make_customer,
    make_invitation,
    make_programme,
    make_root_cause,
    make_rule,
    make_staff,
    make_survey,
    make_touchpoint,
)

QUEUES = ("messages", "reactions", "rewards", "reports")
UNHAPPY: dict[str, Any] = {
    "nps": "2",
    "why": ["late_or_damaged"],
    "comment": "The tent came four days late.",
    "contact": "phone",
}
Visit = Callable[..., Page]


@dataclass
class Shop:
    """Northwind Outdoor, with a touchpoint that asks at once and advertises a voucher for answering."""

    client: Client
    brand: Brand
    touchpoint: Touchpoint
    survey: Survey
    thanks: Programme
    goodwill: Programme
    cause: RootCause
    key: str  # of the API
    people: dict[str, Staff] = field(default_factory=dict)

    def staff(self, role: str, name: str) -> Staff:
        """Return the member of staff of this name, who is made when first asked for."""
        if name not in self.people:
            self.people[name] = make_staff(role, name=name)
            db.session.commit()
        return self.people[name]

    def unhappy(self, *, now: datetime | None = None, customer: Customer | None = None, **answers: Any) -> Case:
        """Let a customer answer their link with a bad score; return the case that this opened."""
        customer = customer or hanna()
        invitation = make_invitation(self.survey, customer, self.touchpoint)
        address = f"/s/{tokens.sign('survey', invitation.public_id)}"
        with clock.moved((now - clock.now()) if now else timedelta()):
            assert self.client.post(address, data={**UNHAPPY, **answers}).status_code == 303
        work()
        newest = select(Case).where(Case.customer_id == customer.id).order_by(Case.id.desc()).limit(1)
        return db.session.scalars(newest).one()

    def mails(self, to: str | None) -> list[dict[str, Any]]:
        """Return the mails to an address, newest first, after all that waits was done."""
        work()
        mails: list[dict[str, Any]] = self.client.get("/mailbox.json", query_string={"to": to}).json
        return mails

    def link(self, to: str | None, part: str) -> str:
        """Return the first link with `part` in it of the newest mail to an address that has one."""
        links = [link for mail in self.mails(to) for link in mail["links"] if part in link]
        assert links, f"no mail to {to} links to {part}"
        return str(links[0])


def open_shop(client: Client) -> Shop:
    brand = make_brand(
        key="northwind",
        name="Northwind Outdoor",
        phone="0800 555 0142",
        phone_hours="until 20:00",
        reply_address="care@northwind.example",
        privacy_url="https://northwind.example/privacy",
        main_survey_key="nps_after_contact",
    )
    touchpoint, survey = make_touchpoint(brand, key="call-centre", name="Phone call"), make_survey(brand)
    thanks = make_programme(brand, name="Thank-you for answering")
    goodwill = make_programme(
        brand,
        name="Goodwill in recovery",
        trigger=Trigger.GOODWILL,
        reward_minor=2500,
        budget=60_000,
        code_prefix="SORRY",
        customer_limit_minor=20_000,
        staff_day_limit_minor=20_000,
    )
    make_rule(touchpoint, survey, programme=thanks)
    shop = Shop(
        client=client,
        brand=brand,
        touchpoint=touchpoint,
        survey=survey,
        thanks=thanks,
        goodwill=goodwill,
        cause=make_root_cause(name="Courier damage"),
        key=make_api_key()[1],
    )
    db.session.commit()
    return shop


def tell_of_a_call(shop: Shop, language: str = "en") -> str:
    """Tell the shop's interaction through the API, as its phone system does; return the customer's address."""
    address = f"hanna.{language}@customer.example"
    interaction: dict[str, Any] = {
        "reference": f"CALL-{language}",
        "occurred_at": clock.now().isoformat(),
        "touchpoint": shop.touchpoint.key,
        "channel": "phone",
        "customer": {
            "external_id": f"C-{language}",
            "name": "Hanna Keller",
            "email": address,
            "phone": "+494055504471",
            "language": language,
        },
    }
    answer = shop.client.post("/api/v1/interactions", json=interaction, headers={"Authorization": f"Bearer {shop.key}"})
    assert answer.json is not None
    assert answer.json["decision"]["outcome"] == "invited", answer.json
    return address


def address_of(case: Case) -> str:
    """Return where the customer of a case gets mail."""
    assert case.customer is not None and case.customer.email is not None
    return case.customer.email


def hanna(**more: Any) -> Customer:
    """A customer who can be called and written to."""
    return make_customer(**{"phone": "+494055504471", "tier": "summit", **more})


def work() -> None:
    """Do all that is due, as the workers would, until nothing is left."""
    db.session.commit()
    while sum(outbox.drain(queue) for queue in QUEUES):
        pass
    db.session.rollback()
    db.session.expire_all()


def sign_in(page: Page, staff: Staff) -> None:
    """Sign in through the page, as a person does."""
    page.goto("/login")
    page.get_by_label("E-mail address").fill(staff.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/login"))


def let_in(page: Page, staff: Staff, address: str) -> Page:
    """Open `address` as somebody who has signed in before; the sign-in page itself has its own journey."""
    agent, name = page.evaluate("navigator.userAgent"), current_app.config["SESSION_COOKIE_NAME"]
    with current_app.test_client() as client:
        client.environ_base["HTTP_USER_AGENT"] = agent
        cast(Client, client).sign_in(staff)
        cookie = client.get_cookie(name)
    assert cookie is not None
    url = current_app.extensions["config"].base_url
    page.context.add_cookies([{"name": name, "value": cookie.value, "url": url}])
    page.goto(address)
    return page


def act(page: Page, name: str) -> None:
    """Open one of a case's acts."""
    page.get_by_role("region", name="Actions").locator("summary", has_text=name).click()


def station(page: Page, name: str) -> Locator:
    """Return one of the four stations of the case that is shown."""
    return page.get_by_role("region", name="Where this case stands").get_by_role("listitem").filter(has_text=name)
