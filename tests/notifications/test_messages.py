from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from core import clock, tokens
from core.db import db
from core.outbox import Work
from customers.models import Brand, Customer
from notifications import messages, suppression
from notifications.kinds import BadValues
from notifications.messages import Draft
from notifications.models import Message, State
from notifications.samples import sample_values
from tests.client import count_queries

Make = Callable[..., Draft]


def how_many(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize("how_often", [1, 100, 1000])
def test_posting_many_costs_as_many_statements_as_posting_one(draft: Make, how_often: int) -> None:
    drafts = [draft(number) for number in range(how_often)]

    with count_queries() as queries:
        posted = messages.post_many(drafts, now=clock.now())

    assert queries.count == 3
    assert len({message.id for message in posted if message}) == how_often
    assert how_many(Work) == how_often


def test_the_same_reason_gives_the_same_row_and_one_piece_of_work(draft: Make) -> None:
    first = messages.post_many([draft(1)], now=clock.now())[0]
    again = messages.post_many([draft(1), draft(2), draft(1)], now=clock.now())

    assert again[0] is again[2] is first
    assert how_many(Message) == how_many(Work) == 2


def test_post_fills_the_row_and_waits_until_it_is_due(brand: Brand, customer: Customer) -> None:
    now = clock.now()

    message = messages.post(
        "case_opened",
        reason="case:7",
        brand=brand,
        customer=customer,
        language="de-AT",
        values=sample_values("case_opened", "de"),
        to_address="  Hanna@POSTEO.example ",
        to_name="Hanna Keller",
        case_id=7,
        now=now,
        due_at=now + timedelta(hours=2),
    )

    assert message is not None and message is messages.for_reason("case_opened", "case:7")
    assert (message.language, message.to_address, message.state) == ("de", "Hanna@posteo.example", State.CREATED)
    assert (message.customer_id, message.case_id, message.brand) == (customer.id, 7, brand)
    assert db.session.scalars(select(Work)).one().due_at == now + timedelta(hours=2)


@pytest.mark.parametrize(
    "address",
    [None, "", "no address", "a@", "@b.example", "a@b.example\r\nBcc: c@d.example", "a,b@c.example", "x\x00@c.example"],
)
def test_nothing_is_posted_where_there_is_no_address(draft: Make, address: str | None) -> None:
    posted = messages.post_many([draft(1, to_address=address), draft(2)], now=clock.now())

    assert posted[0] is None and posted[1] is not None
    assert how_many(Message) == 1


def test_values_that_do_not_fit_are_refused_before_anything_is_written(draft: Make) -> None:
    with pytest.raises(BadValues, match="surprise"):
        messages.post_many([draft(1), draft(2, values={"surprise": "x"})], now=clock.now())

    assert how_many(Message) == 0


def test_a_suppressed_address_gets_a_row_that_says_so_and_no_work(draft: Make) -> None:
    suppression.suppress("PERSON1@mail.example", "all", "bounce", clock.now())

    message = messages.post_many([draft(1)], now=clock.now())[0]

    assert message is not None and (message.state, message.failure) == ("suppressed", "suppressed")
    assert how_many(Work) == 0


def test_a_survey_message_names_itself_in_its_unsubscribe_link(draft: Make) -> None:
    message = messages.post_many([draft(1, "invitation")], now=clock.now())[0]

    assert message is not None
    assert message.values["unsubscribe_url"] == messages.unsubscribe_url(message)
    token = messages.unsubscribe_url(message).split("/u/")[1].removesuffix("/unsubscribe")
    assert tokens.read("unsubscribe", token) == message.public_id


@pytest.mark.usefixtures("app")
class TestSuppression:
    @pytest.mark.parametrize(
        ("scope", "stopped"),
        [
            ("all", {"service", "survey", "marketing"}),
            ("survey", {"survey"}),
            ("marketing", {"marketing"}),
        ],
    )
    def test_a_scope_stops_its_purposes_alone(self, scope: str, stopped: set[str]) -> None:
        suppression.suppress("hanna@posteo.example", scope, "unsubscribe", clock.now())  # type: ignore[arg-type]

        found = {
            each
            for each in ("service", "survey", "marketing")
            if suppression.is_suppressed(" Hanna@Posteo.example", each)
        }
        assert found == stopped

    def test_lifting_a_scope_leaves_a_dead_address_dead(self) -> None:
        suppression.suppress("hanna@posteo.example", "all", "bounce", clock.now())
        suppression.suppress("hanna@posteo.example", "survey", "unsubscribe", clock.now())

        assert suppression.lift("HANNA@posteo.example", "survey")
        assert not suppression.lift("HANNA@posteo.example", "survey")
        assert suppression.is_suppressed("hanna@posteo.example", "survey")

    def test_every_spelling_asked_for_is_answered_in_one_statement(self) -> None:
        suppression.suppress("hanna@posteo.example", "survey", "unsubscribe", clock.now())

        with count_queries() as queries:
            found = suppression.suppressed_among(
                ["HANNA@posteo.example", "hanna@posteo.example", "b@c.example"], "survey"
            )

        assert queries.count == 1
        assert found == {"HANNA@posteo.example", "hanna@posteo.example"}

    def test_a_rotated_secret_still_finds_the_old_hashes(self, app: Flask) -> None:
        from dataclasses import replace

        suppression.suppress("hanna@posteo.example", "all", "erased", clock.now())
        config = app.extensions["config"]
        app.extensions["config"] = replace(config, secret_key="n" * 40, previous_secret_keys=(config.secret_key,))
        try:
            assert suppression.is_suppressed("hanna@posteo.example", "service")
        finally:
            app.extensions["config"] = config

    def test_the_address_is_not_stored(self) -> None:
        from notifications.models import Suppression

        suppression.suppress("hanna@posteo.example", "all", "erased", clock.now())

        row = db.session.scalars(select(Suppression)).one()
        assert "hanna" not in row.address_hash and len(row.address_hash) == 64
