"""What customers want to hear of, by page and by one click."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from core import clock, tokens
from core.db import db
from core.events import Event
from customers.models import Consent, Customer
from notifications import messages, suppression
from notifications.models import Message, Suppression
from tests.client import Client

Post = Callable[..., Message]
ADDRESS = "hanna@posteo.example"


@pytest.fixture
def invitation(post: Post, customer: Customer) -> Message:
    return post(1, "invitation", customer_id=customer.id, to_address=ADDRESS)


def one_click(message: Message) -> str:
    return "/u/" + messages.unsubscribe_url(message).split("/u/")[1]


def consents(customer: Customer) -> tuple[str, str]:
    db.session.expire_all()
    fresh = db.session.get_one(Customer, customer.id)
    return fresh.survey_consent, fresh.marketing_consent


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_unsubscribes_without_a_page(
    client: Client, invitation: Message, customer: Customer, content_type: str
) -> None:
    form = {"List-Unsubscribe": "One-Click"}

    response = client.post(one_click(invitation), data=form, content_type=content_type)

    assert (response.status_code, response.mimetype) == (200, "text/plain")
    assert "Set-Cookie" not in response.headers
    assert consents(customer) == (Consent.WITHDRAWN, Consent.UNKNOWN)
    assert suppression.is_suppressed(ADDRESS, "survey")
    assert not suppression.is_suppressed(ADDRESS, "service")


def test_clicking_twice_is_recorded_once(client: Client, invitation: Message) -> None:
    for _ in range(2):
        assert client.post(one_click(invitation), data={"List-Unsubscribe": "One-Click"}).status_code == 200

    assert len(db.session.scalars(select(Suppression)).all()) == 1
    assert [event.kind for event in db.session.scalars(select(Event))] == ["consent.withdrawn"]


def test_opening_the_link_unsubscribes_nobody(client: Client, invitation: Message, customer: Customer) -> None:
    page = client.get(one_click(invitation))
    client.head(one_click(invitation))

    assert "Yes, stop them" in page.text and "h•••@posteo.example" in page.text
    assert consents(customer) == (Consent.UNKNOWN, Consent.UNKNOWN)


def test_the_button_of_the_page_unsubscribes(client: Client, invitation: Message, customer: Customer) -> None:
    page = client.post(one_click(invitation), data={"lang": "ar"})

    assert 'dir="rtl"' in page.text and "لن تصلك استطلاعات" in page.text
    assert consents(customer)[0] == Consent.WITHDRAWN


def test_a_message_without_a_customer_can_be_unsubscribed(client: Client, post: Post) -> None:
    message = post(1, "invitation")

    assert client.post(one_click(message)).status_code == 200

    assert suppression.is_suppressed("person1@mail.example", "survey")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_we_did_not_sign_is_unknown(
    client: Client, invitation: Message, customer: Customer, method: str
) -> None:
    for token in (
        "x",
        tokens.sign("preferences", invitation.public_id),
        tokens.sign("unsubscribe", customer.public_id),
        one_click(invitation).split("/")[2][:-1] + "?",
    ):
        assert getattr(client, method)(f"/u/{token}/unsubscribe").status_code == 404
    assert getattr(client, method)(f"/u/{tokens.sign('unsubscribe', customer.public_id)}").status_code == 404


class TestChoices:
    @pytest.fixture
    def path(self, customer: Customer) -> str:
        return f"/u/{tokens.sign('preferences', customer.public_id)}"

    def test_the_page_speaks_the_customers_language_and_masks_the_address(self, client: Client, path: str) -> None:
        page = client.get(path).text

        assert '<html lang="de"' in page and "Kurze Umfragen" in page
        assert "h•••@posteo.example" in page and ADDRESS not in page

    def test_ticks_become_consent_and_suppression(self, client: Client, path: str, customer: Customer) -> None:
        client.post(path, data={"marketing": "y"})

        assert consents(customer) == (Consent.WITHDRAWN, Consent.GIVEN)
        assert suppression.is_suppressed(ADDRESS, "survey") and not suppression.is_suppressed(ADDRESS, "marketing")

        response = client.post(path, data={"survey": "y"})

        assert response.status_code == 303 and "saved" in response.location
        assert consents(customer) == (Consent.GIVEN, Consent.WITHDRAWN)
        assert not suppression.is_suppressed(ADDRESS, "survey") and suppression.is_suppressed(ADDRESS, "marketing")

    def test_saving_without_a_change_records_nothing(self, client: Client, path: str, customer: Customer) -> None:
        client.post(path, data={"survey": "y"})

        assert consents(customer) == (Consent.UNKNOWN, Consent.UNKNOWN)
        assert not db.session.scalars(select(Event)).all()

    def test_an_erased_customer_is_told_so(self, client: Client, path: str, customer: Customer) -> None:
        customer.erased_at = clock.now()
        db.session.commit()

        assert client.get(path).status_code == client.post(path).status_code == 410
        assert "What we knew about you was erased" in client.get(path).text
