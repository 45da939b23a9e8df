"""The pages of incentives, as a marketer, a lead and others see them."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db, new_public_id
from customers.models import Brand
from incentives import codes, goodwill, rewards
from incentives.models import Code, Fulfilment, Programme, ProgrammeState, RewardState, Trigger
from tests.client import Client, count_queries
from tests.factories import make_brand, make_case, make_customer, make_programme, make_staff, make_team
from tests.incentives.test_goodwill import Case

NEW = {
    "name": "Thank-you for answering",
    "fulfilment": "generated",
    "code_prefix": "thanks",
    "reward": "€5",
    "budget": "6,000",
    "cap_per_customer": "1",
    "cap_days": "365",
    "valid_days": "90",
    "starts_on": "2026-01-01",
    "terms_en": "One order over €20.",
}


@pytest.fixture
def marta(client: Client) -> Staff:
    """A marketer, signed in."""
    staff = make_staff("marketer", name="Marta Weiss")
    client.sign_in(staff)
    return staff


def goodwill_programme(brand: Brand | None = None, **more: Any) -> Programme:
    values = {"name": "Goodwill credit", "trigger": Trigger.GOODWILL, "budget": 60_000, "reward_minor": 5000, **more}
    return make_programme(brand, **values)


def ask(programme: Programme, amount: int = 6000, *, by: Staff | None = None) -> Any:
    customer = make_customer(name="Marc Oudin", value_minor=296_000, value_currency="EUR")
    case = Case(id=1, brand_id=programme.brand_id, customer=customer)
    by = by or make_staff("agent", name="Daniel Okafor")
    words = "His refund is <b>three</b> weeks late."
    return goodwill.give(case, amount=amount, words=words, by=by, form_key=new_public_id(), now=clock.now())


def text_of(response: Any) -> str:
    return str(response.get_data(as_text=True))


def test_without_programmes_the_page_offers_to_make_one(client: Client, marta: Staff) -> None:
    page = text_of(client.get("/incentives"))

    assert "Nothing is given away yet" in page
    assert 'href="/incentives/new"' in page


def test_a_marketer_makes_a_draft_starts_pauses_and_ends_it(client: Client, marta: Staff) -> None:
    brand = make_brand()

    made = client.post("/incentives/new", data={**NEW, "brand": brand.key})

    programme = db.session.scalars(select(Programme)).one()
    assert made.headers["Location"] == f"/incentives/{programme.public_id}"
    assert (programme.reward_minor, programme.budget_minor, programme.code_prefix) == (500, 600_000, "THANKS")
    assert programme.state == ProgrammeState.DRAFT
    for turn, state in (("start", "running"), ("pause", "paused"), ("start", "running"), ("end", "ended")):
        client.post(f"/incentives/{programme.public_id}/state", data={"turn": turn})
        db.session.refresh(programme)
        assert programme.state == state
    assert "ended it" in text_of(client.get(f"/incentives/{programme.public_id}"))


def test_goodwill_has_limits_in_money(client: Client, marta: Staff) -> None:
    brand = make_brand()
    data = {key: value for key, value in NEW.items() if key not in {"cap_per_customer", "cap_days"}}
    limits = {"customer_limit": "100", "staff_day_limit": "150.50"}

    client.post("/incentives/new", data={**data, **limits, "trigger": "goodwill", "brand": brand.key, "reward": "50"})

    programme = db.session.scalars(select(Programme)).one()
    assert (programme.trigger, programme.reward_minor) == ("goodwill", 5000)
    assert (programme.customer_limit_minor, programme.staff_day_limit_minor) == (10_000, 15_050)


def test_money_is_read_as_the_reader_writes_it(client: Client) -> None:
    client.sign_in(make_staff("marketer", language="de"))
    brand = make_brand()

    client.post("/incentives/new", data={**NEW, "brand": brand.key, "reward": "7,50 €", "budget": "1.000,00"})

    programme = db.session.scalars(select(Programme)).one()
    assert (programme.reward_minor, programme.budget_minor) == (750, 100_000)
    assert "7,50\xa0€" in text_of(client.get(f"/incentives/{programme.public_id}"))


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("reward", "five <b>"),
        ("reward", ""),
        ("budget", "-3"),
        ("budget", "1.234567"),
        ("budget", "9" * 30),
        ("cap_days", "0"),
        ("cap_days", "soon"),
        ("starts_on", "0001-01-01"),
        ("ends_on", "9999-12-31"),
        ("ends_on", "2025-01-01"),
        ("code_prefix", "nö!"),
        ("fulfilment", "magic"),
        ("name", "\x00"),
        ("terms_en", ""),
        ("brand", "elsewhere"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_the_rest_kept(
    client: Client, marta: Staff, field: str, typed: str
) -> None:
    brand = make_brand()

    response = client.post("/incentives/new", data={"brand": brand.key, **NEW, field: typed})

    page = text_of(response)
    assert response.status_code == 422
    assert f'id="{field}-e"' in page
    assert 'value="Thank-you for answering"' in page or field == "name"
    if field == "reward" and typed:
        assert 'value="five &lt;b&gt;"' in page
    assert db.session.scalars(select(Programme)).all() == []


def test_a_budget_below_what_is_reserved_is_refused_with_the_least_allowed(client: Client, marta: Staff) -> None:
    programme, now = make_programme(budget=5000), clock.now()
    for number in range(3):
        rewards.issue_for(programme, customer=make_customer(), reason=f"invitation:{number}", now=now)

    response = client.post(f"/incentives/{programme.public_id}", data={**NEW, "budget": "14.99", "name": "New name"})

    page = text_of(response)
    assert response.status_code == 422
    assert re.search(r'id="budget-e">€15 are spent or reserved already', page)
    assert 'value="14.99"' in page
    assert 'value="New name"' in page
    assert (programme.budget_minor, programme.name) == (5000, "Thank-you for answering")


def test_changes_are_saved_and_told_in_the_history(client: Client, marta: Staff) -> None:
    programme = make_programme(conditions={"field": "tier", "op": "in", "value": ["gold"]})
    data = {**NEW, "reward": "8", "budget": "90", "tiers": "gold, silver", "languages": ["de"]}

    response = client.post(f"/incentives/{programme.public_id}", data=data)

    assert response.status_code == 302
    assert (programme.reward_minor, programme.budget_minor) == (800, 9000)
    assert programme.conditions == {
        "all": [
            {"field": "tier", "op": "in", "value": ["gold", "silver"]},
            {"field": "language", "op": "in", "value": ["de"]},
        ]
    }
    page = text_of(client.get(f"/incentives/{programme.public_id}"))
    assert "raised the budget by €40" in page
    assert "Marta Weiss" in page
    assert "Only with tier: gold, silver" in page


def test_conditions_written_elsewhere_survive_a_change(client: Client, marta: Staff) -> None:
    tree = {"any": [{"field": "value_minor", "op": ">=", "value": 100}, {"field": "tier", "op": "==", "value": "gold"}]}
    programme = make_programme(conditions=tree)

    client.post(f"/incentives/{programme.public_id}", data={**NEW, "budget": "50"})

    assert programme.conditions == tree


def test_the_page_shows_the_budget_the_pace_and_the_ledger(client: Client, marta: Staff) -> None:
    programme, now = make_programme(budget=10_000), clock.now()
    rewards.issue_for(programme, customer=make_customer(name="Ida <i>Berg"), reason="invitation:1", now=now)

    page = text_of(client.get("/incentives"))

    assert "€5 spent, €0 reserved, €95 left of €100" in page
    assert "At this pace it lasts until" in page
    assert "Ida &lt;i&gt;Berg" in page
    assert "+5.00" in page
    assert "95.00" in page


def test_a_gesture_that_waits_is_approved_by_a_second_person(client: Client) -> None:
    programme = goodwill_programme()
    reward = ask(programme)
    client.sign_in(make_staff("lead"))

    page = text_of(client.get("/incentives"))
    response = client.post(f"/incentives/rewards/{reward.public_id}/decision", data={"decision": "approve"})

    assert "€60 for Marc Oudin" in page
    assert "His refund is &lt;b&gt;three&lt;/b&gt; weeks late." in page
    assert "is worth €2,960 so far" in page
    assert response.headers["Location"] == f"/incentives/{programme.public_id}"
    assert reward.state == RewardState.ISSUED
    again = client.post(f"/incentives/rewards/{reward.public_id}/decision", data={"decision": "decline"})
    assert again.status_code == 302
    assert "Somebody has decided this already." in text_of(client.get("/incentives"))
    assert reward.state == RewardState.ISSUED


def test_a_decision_leads_back_to_the_case_but_never_away(client: Client) -> None:
    programme = goodwill_programme()
    client.sign_in(make_staff("lead"))

    for back, expected in (("/desk/cases/2417", "/desk/cases/2417"), ("//evil.example", None), ("https://evil", None)):
        reward = ask(programme)
        data = {"decision": "decline", "back": back}
        response = client.post(f"/incentives/rewards/{reward.public_id}/decision", data=data)
        assert response.headers["Location"] == (expected or f"/incentives/{programme.public_id}")


def test_who_asked_sees_no_button_and_is_refused(client: Client) -> None:
    lead = make_staff("lead")
    reward = ask(goodwill_programme(), by=lead)
    client.sign_in(lead)

    page = text_of(client.get("/incentives"))
    client.post(f"/incentives/rewards/{reward.public_id}/decision", data={"decision": "approve"})

    assert "waits for a second person" in page
    assert "Approve €60" not in page
    assert reward.state == RewardState.WAITING


@pytest.mark.parametrize(
    ("role", "seen", "edited", "decided"),
    [("agent", 403, 403, 403), ("analyst", 200, 403, 403), ("lead", 200, 403, 302), ("marketer", 200, 200, 302)],
)
def test_each_role_may_what_it_may(client: Client, role: str, seen: int, edited: int, decided: int) -> None:
    programme = goodwill_programme()
    reward = ask(programme)
    client.sign_in(make_staff(role))

    assert client.get("/incentives").status_code == seen
    assert client.get(f"/incentives/{programme.public_id}/ledger").status_code == seen
    assert client.get("/incentives/new").status_code == edited
    assert client.post(f"/incentives/{programme.public_id}", data={}).status_code == (422 if edited == 200 else 403)
    answer = client.post(f"/incentives/rewards/{reward.public_id}/decision", data={"decision": "decline"})
    assert answer.status_code == decided


def test_another_brands_programme_and_gesture_are_not_there(client: Client) -> None:
    programme = goodwill_programme()
    reward = ask(programme)
    client.sign_in(make_staff("marketer", team=make_team(make_brand())))

    assert client.get(f"/incentives/{programme.public_id}").status_code == 404
    assert client.post(f"/incentives/{programme.public_id}/state", data={"turn": "end"}).status_code == 404
    answer = client.post(f"/incentives/rewards/{reward.public_id}/decision", data={"decision": "approve"})
    assert answer.status_code == 404
    assert reward.state == RewardState.WAITING


def test_codes_are_pasted_or_uploaded_and_duplicates_shown_by_line(client: Client, marta: Staff) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL)
    path = f"/incentives/{programme.public_id}/codes"

    pasted = client.post(path, data={"codes": "A-1\nA-2\nA-1"})
    file = (io.BytesIO(b"code\nA-3\nA-2\n"), "codes.csv")
    uploaded = client.post(path, data={"file": file}, content_type="multipart/form-data")

    assert "2 codes added." in text_of(pasted)
    assert "stands on line 1 already" in text_of(pasted)
    assert "1 code added." in text_of(uploaded)
    assert "is in this pool already" in text_of(uploaded)
    assert db.session.execute(select(func.count()).select_from(Code)).scalar_one() == 3


@pytest.mark.parametrize("data", [{}, {"codes": " "}, {"file": (io.BytesIO(b"\xff\xfe\x00"), "codes.xlsx")}])
def test_no_codes_or_no_text_is_refused_at_the_field(client: Client, marta: Staff, data: dict[str, Any]) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL)
    path = f"/incentives/{programme.public_id}/codes"

    response = client.post(path, data=data, content_type="multipart/form-data")

    assert response.status_code == 422
    assert 'class="bad"' in text_of(response)


def test_the_ledger_is_read_page_by_page(client: Client, marta: Staff) -> None:
    programme, now = make_programme(budget=100_000), clock.now()
    for number in range(55):
        rewards.issue_for(programme, customer=make_customer(email=None), reason=f"invitation:{number}", now=now)

    first = text_of(client.get(f"/incentives/{programme.public_id}/ledger"))
    older = re.search(r'href="([^"]+before=\d+)"', first)
    assert older is not None
    second = text_of(client.get(older[1].replace("&amp;", "&")))

    assert first.count("Reward sent") == 50
    assert second.count("Reward sent") == 5
    assert "Budget raised by €1,000" in second
    assert client.get(f"/incentives/{programme.public_id}/ledger?before=-1").status_code == 200
    assert client.get(f"/incentives/{programme.public_id}/ledger?before={10**30}").status_code == 200


def test_the_page_takes_as_many_queries_with_three_of_everything_as_with_one(client: Client) -> None:
    programme = goodwill_programme()
    client.sign_in(make_staff("marketer"))

    def fill(number: int) -> None:
        ask(programme, 6000)
        ask(programme, 1000 + number)

    fill(0)
    with count_queries() as one:
        client.get(f"/incentives/{programme.public_id}")
    for number in (1, 2):
        fill(number)
        goodwill_programme(programme.brand, name=f"Another {number}")
    with count_queries() as three:
        client.get(f"/incentives/{programme.public_id}")

    assert three.count == one.count
    assert one.count <= 16


def test_a_pool_that_ran_dry_says_who_waits(client: Client, marta: Staff) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL)
    rewards.issue_for(programme, customer=make_customer(), reason="invitation:1", now=clock.now())

    assert "1 reward waits for a code" in text_of(client.get("/incentives"))
    codes.upload(programme, "A-1", by="system", now=clock.now() + timedelta(seconds=1))


def test_nothing_is_shown_to_whoever_is_not_signed_in(client: Client) -> None:
    response = client.get("/incentives")

    assert response.status_code == 302
    assert "/login" in response.headers["Location"]


def test_a_budget_that_lasts_for_years_names_no_day(client: Client, marta: Staff) -> None:
    programme = make_programme(budget=100_000_000)
    rewards.issue_for(programme, customer=make_customer(), reason="invitation:1", now=clock.now())

    assert "At this pace it lasts for years" in text_of(client.get(f"/incentives/{programme.public_id}"))


def test_a_programme_with_less_than_one_reward_left_says_that_nobody_gets_it(client: Client, marta: Staff) -> None:
    short, fine = (make_programme(budget=budget) for budget in (400, 5000))

    said = [
        "Nobody gets this any more" in text_of(client.get(f"/incentives/{each.public_id}")) for each in (short, fine)
    ]

    assert said == [True, False]


def test_names_in_the_ledger_lead_to_the_record_and_cases_only_who_may_open_them(client: Client, marta: Staff) -> None:
    programme = goodwill_programme()
    reward = ask(programme)
    real = make_case(programme.brand)
    reward.case_id = real.id
    db.session.commit()

    page = text_of(client.get(f"/incentives/{programme.public_id}"))
    client.sign_in(make_staff("lead"))
    for_lead = text_of(client.get(f"/incentives/{programme.public_id}"))

    assert f"/customers/{reward.customer.public_id}" in page
    assert real.label in page
    assert f"/desk/cases/{real.number}" not in page
    assert f"/desk/cases/{real.number}" in for_lead
