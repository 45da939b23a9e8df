"""Whatever is posted to what stands open gets a clear answer: no 5xx, none takes long, and nothing of it is run."""

from __future__ import annotations

import contextvars
import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask_security.recoverable import generate_reset_password_token
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from accounts.sign_in import welcome_link
from core import clock, tokens
from core.access import Kind
from core.db import db, new_public_id
from feedback import complaints
from feedback.actors import CUSTOMER
from feedback.complaints import ComplaintData
from notifications import messages
from notifications.messages import Draft
from notifications.samples import sample_values
from tests.amounts import RUNS_FULL, STUCK_SECONDS
from tests.client import Client
from tests.conftest import data_folder
from tests.factories import (
    PASSWORD,
    make_api_key,
    make_brand,
    make_case,
    make_customer,
    make_invitation,
    make_rule,
    make_staff,
    make_survey,
    make_touchpoint,
)
from tests.hostile.posts import Answer, Maker, Post, Target, send
from tests.hostile.words import CALCULATED, TOUCHED, words
from tests.test_access import routes
from tests.vendor_sendgrid import Vendor

EXECUTED = Path(TOUCHED)  # what the words that are commands would make
MANY = 100_000 if RUNS_FULL else 10_000
SLOW = 20  # times the work of the dearest honest post
MANY_STATEMENTS = 2  # times those of the dearest honest post
RENEWED_EVERY = 250  # posts; links are used up, and a thread of a thousand replies is no longer a page
UNESCAPED = re.compile(rb'<script(?! src="/static/js/)|<img src=x|<svg[ /]onload|<iframe', re.IGNORECASE)
HONEST_COMPLAINT = {
    "what": "One pole is cracked right through.",
    "ref": "NW-48213",
    "d": "11",
    "m": "11",
    "y": "2025",
    "right": "replace",
    "via": "phone",
    "tel": "+49 40 5550 4471",
    "at": "",
    "mobile": "",
    "name": "Hanna Keller",
    "email": "hanna@shop.example",
    "form_key": "k" * 22,
}
SURVEY = {"nps": "2", "why": "cut_off", "comment": "The line went dead.", "contact": "phone"}


class Ground:
    """One row of each thing that a link leads to, made anew by `renew`."""

    def __init__(self, app: Flask, vendor: Vendor) -> None:
        self.app, self.vendor = app, vendor
        self.brand = make_brand()
        self.touchpoint = make_touchpoint(self.brand)
        make_rule(self.touchpoint, make_survey(self.brand))
        self.known = make_staff("admin")
        self.secret = make_api_key()[1]
        self.session = self._session()
        self.renew()

    def renew(self) -> None:
        now = clock.now()
        customer = make_customer(phone="+494055504471")
        invitation = make_invitation(make_survey(self.brand), customer)
        case = make_case(self.brand, customer=customer)
        data = ComplaintData(
            words="It broke.", form_key=new_public_id(), language="en", via="email", typed_email="a@b.example"
        )
        complaint = complaints.file(data, brand=self.brand, by=CUSTOMER, now=now)
        newcomer = make_staff(password=None)
        self.external_id = customer.external_id
        self.links = {
            "survey": tokens.sign("survey", invitation.public_id),
            "case": tokens.sign("case", case.public_id),
            "confirm": tokens.sign("confirm", complaint.public_id),
            "preferences": tokens.sign("preferences", customer.public_id),
            "unsubscribe": self._message(customer),
            "welcome": welcome_link(newcomer).rpartition("/")[2],
            "open": tokens.sign("open", new_public_id()),
        }
        with self.app.test_request_context():
            self.links["reset"] = generate_reset_password_token(newcomer)
        db.session.commit()

    def targets(self) -> list[Target]:
        def to(endpoint: str, pattern: str, *, share: int = 10, **honest: str) -> Target:
            return Target(endpoint, lambda: pattern.format(**self.links), honest, share=share)

        def inside(endpoint: str, pattern: str, **honest: str) -> Target:
            path = lambda: pattern.format(**self.links)  # noqa: E731
            return Target(endpoint, path, honest, headers=self.session, share=2)

        bearer = {"Authorization": f"Bearer {self.secret}"}
        return [
            to("surveys.answer", "/s/{survey}", share=20, **SURVEY),
            to("surveys.partial", "/s/{survey}/partial", share=20, **SURVEY),
            Target(
                "surveys.answer_open",
                lambda: f"/t/{self.touchpoint.key}",
                SURVEY | {"form_key": tokens.sign("open", new_public_id())},
            ),
            to("surveys.case_fixed", "/c/{case}/fixed", share=1),
            to("case_page.not_fixed", "/c/{case}/not-fixed", share=1),
            to("case_page.reply", "/c/{case}/reply", share=4, reply="Thank you", form_key="r" * 22),
            to("complaints.file", "/complaints/new", share=8, **HONEST_COMPLAINT),
            to("complaints.confirmed", "/complaints/confirm/{confirm}", share=1),
            to("preferences.choose", "/u/{preferences}", share=4, surveys="y", marketing="y"),
            to("preferences.unsubscribe", "/u/{unsubscribe}/unsubscribe", share=4, **{"List-Unsubscribe": "One-Click"}),
            inside("security.login", "/login", email=self.known.email, password=PASSWORD, remember="y", next="/desk"),
            inside("security.logout", "/logout"),
            inside("security.forgot_password", "/reset", email=self.known.email),
            inside("security.reset_password", "/reset/{reset}", password="a new one", password_confirm="a new one"),
            inside("security.mf_recovery", "/mf-recovery", code="1234-5678"),
            inside("security.two_factor_rescue", "/tf-rescue", help_setup="help"),
            inside("security.tf_select", "/tf-select", which="authenticator"),
            inside("security.two_factor_token_validation", "/tf-validate", code="123456"),
            inside("welcome.choose_password", "/welcome/{welcome}", password="short", password_confirm="short"),
            Target(
                "hooks.sendgrid",
                lambda: "/hooks/sendgrid",
                sample=[self._event("delivered"), self._event("bounce")],
                sign=self._signed,
                share=20,
            ),
            Target(
                "interactions.create",
                lambda: "/api/v1/interactions",
                sample=self._interaction(),
                headers=bearer,
                share=15,
            ),
            Target(
                "api_customers.erase",
                lambda: f"/api/v1/customers/{self.external_id}",
                headers=bearer,
                share=4,
                method="DELETE",
                names_in_path=True,
            ),
            Target(
                "complaints_api.create",
                lambda: "/api/v1/complaints",
                sample={
                    "words": "It broke.",
                    "customer": {"external_id": "C-1", "email": "a@b.example", "phone": "+4940"},
                    "happened_on": "2025-02",
                    "wish": "refund",
                    "contact": "phone",
                    "contact_time": "morning",
                    "language": "de",
                },
                headers=bearer,
            ),
        ]

    def _interaction(self) -> dict[str, Any]:
        return {
            "reference": "CALL-1",
            "occurred_at": clock.now().isoformat(),
            "touchpoint": self.touchpoint.key,
            "channel": "phone",
            "customer": {"external_id": "C-1", "name": "Hanna", "email": "a@b.example", "language": "de"},
            "value": {"amount_minor": 38900, "currency": "EUR"},
            "attributes": {"waited_s": 1440},
        }

    def _event(self, kind: str) -> dict[str, Any]:
        at = int(clock.now().timestamp())
        return {"sg_event_id": new_public_id(), "amends_message": "x" * 22, "event": kind, "timestamp": at, "type": "b"}

    def _signed(self, body: bytes) -> dict[str, str]:
        return dict(self.vendor.signed_body(body, at=int(clock.now().timestamp())).headers)

    def _message(self, customer: Any) -> str:
        values = sample_values("invitation", "en", fully=False)
        values.pop("unsubscribe_url", None)
        draft = Draft(
            "invitation",
            f"hostile:{new_public_id()}",
            self.brand,
            "en",
            values,
            customer.email,
            customer_id=customer.id,
        )
        return tokens.sign("unsubscribe", messages.post_many([draft], now=clock.now())[0].public_id)

    def _session(self) -> dict[str, str]:
        """Return the headers of somebody who opened a page with a form, and is not signed in."""
        client = self.app.test_client()
        assert isinstance(client, Client)
        token = client._csrf_token()
        cookie = client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        assert cookie is not None
        return {"Cookie": f"{cookie.decoded_key}={cookie.decoded_value}", "X-CSRFToken": token}


@pytest.fixture
def ground(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.setattr("feedback.views.complaints.PER_MINUTE", 10**9)
    monkeypatch.setattr("surveys.pace.PER_MINUTE", 10**9)
    with Vendor() as vendor:
        config = replace(app.extensions["config"], sendgrid_webhook_key=vendor.public_key)
        monkeypatch.setitem(app.extensions, "config", config)
        yield Ground(app, vendor)


def test_everything_that_takes_posts_without_a_session_is_tried(app: Flask, ground: Ground) -> None:
    open_to_all = {
        route.endpoint
        for route in routes(app)
        if route.method != "GET" and route.rule.kind in {Kind.LINK, Kind.PUBLIC, Kind.API}
    }

    assert {target.endpoint for target in ground.targets()} == open_to_all


def test_an_honest_post_reaches_each_of_them(app: Flask, ground: Ground) -> None:
    """Otherwise the malformed ones would be refused at the door, and prove nothing."""
    refused = {
        "security.two_factor_rescue": 404,
        "security.login": 302,
        "security.tf_select": 302,
        "security.mf_recovery": 302,
        "security.two_factor_token_validation": 302,
        "security.forgot_password": 200,
        "security.reset_password": 200,
        "security.logout": 302,
        "welcome.choose_password": 422,
    }
    maker = Maker(Honest(), [""])
    found = {}

    for target in ground.targets():
        ground.renew()
        found[target.endpoint] = judged(app, maker.post(target)).status

    good = {endpoint: refused.get(endpoint, status if status < 400 else 200) for endpoint, status in found.items()}
    assert found == good


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_some_malformed_posts_get_a_clear_answer(app: Flask, ground: Ground) -> None:
    targets, known, number = ground.targets(), words(data_folder()), 0
    most = bearable(app, ground)

    @settings(max_examples=250, database=None, derandomize=True)
    @given(chance=st.randoms(use_true_random=False), target=st.sampled_from(targets))
    def check(chance: random.Random, target: Target) -> None:
        nonlocal number
        number += 1
        if number % RENEWED_EVERY == 0:
            ground.renew()
        judged(app, Maker(chance, known).post(target), most)

    check()

    assert number >= 250
    assert_nothing_was_run(app)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(STUCK_SECONDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files of bodies that were cut off
def test_many_malformed_posts_get_a_clear_answer(app: Flask, ground: Ground, chance: random.Random) -> None:
    """A post costs 8 ms of work."""
    targets = ground.targets()
    maker = Maker(chance, words(data_folder()))
    most = bearable(app, ground)
    statuses: Counter[int] = Counter()

    for number, target in enumerate(chance.choices(targets, [target.share for target in targets], k=MANY)):
        if number % RENEWED_EVERY == 0:
            ground.renew()
        statuses[judged(app, maker.post(target), most).status] += 1

    assert sum(statuses.values()) == MANY
    assert statuses[422] > MANY // 5
    assert statuses[303] > MANY // 40  # about one in twenty
    assert_nothing_was_run(app)


class Honest(random.Random):
    """Chance that changes nothing: honest values, well formed."""

    def random(self) -> float:
        return 0.31

    def choices(self, *args: Any, **more: Any) -> Any:
        raise AssertionError("Whoever is honest chooses nothing.")


@dataclass(frozen=True)
class Cost:
    """What a post may take: seconds of CPU, which are the same on a busy machine, and statements."""

    cpu_seconds: float = math.inf
    statements: float = math.inf


def bearable(app: Flask, ground: Ground) -> Cost:
    """Return a multiple of the dearest honest post. Each is sent twice: the first loads what it needs."""
    maker, cpu_seconds, statements = Maker(Honest(), [""]), 0.0, 0
    for target in ground.targets():
        ground.renew()
        judged(app, maker.post(target))
        ground.renew()
        answer = judged(app, maker.post(target))
        cpu_seconds, statements = max(cpu_seconds, answer.cpu_seconds), max(statements, answer.statements)
    return Cost(SLOW * cpu_seconds, MANY_STATEMENTS * statements)


def judged(app: Flask, post: Post, most: Cost = Cost()) -> Answer:  # frozen
    """Send a post and look at its answer, which may cost so much at the most."""
    answer = contextvars.Context().run(send, app, post)
    assert answer.cpu_seconds < most.cpu_seconds, post
    assert answer.statements < most.statements, post
    assert answer.status < 500, post
    assert_harmless(answer, post)
    return answer


def assert_harmless(answer: Answer, post: Post | None = None) -> None:
    headers = {name.lower(): value for name, value in answer.headers}
    leads_to = urlsplit(urljoin("http://localhost/", headers.get("location", "/").replace("\\", "/")))
    assert CALCULATED.encode() not in answer.body, post
    assert "x-injected" not in headers and "stolen" not in headers.get("set-cookie", ""), post
    assert (leads_to.scheme, leads_to.netloc) == ("http", "localhost"), post
    if headers.get("content-type", "").startswith("text/html"):
        assert not UNESCAPED.search(answer.body), post


def assert_nothing_was_run(app: Flask) -> None:
    """No command, no statement: every table is still there, and what was kept is shown as text."""
    assert not EXECUTED.exists()
    for table in db.metadata.sorted_tables:
        db.session.execute(text(f'SELECT 1 FROM "{table.name}" LIMIT 1'))
    client = app.test_client()
    client.sign_in(make_staff("admin"))
    numbers = db.session.execute(text('SELECT number FROM "case" ORDER BY id DESC LIMIT 40')).scalars().all()
    for path in ("/desk", "/customers", "/insights", *(f"/desk/cases/{number}" for number in numbers)):
        page = client.get(path)
        assert page.status_code == 200, path
        assert not UNESCAPED.search(page.data), path
