from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import insert

from accounts.models import Staff
from core import clock, events
from core.db import db
from core.outbox import Work
from customers.models import Brand, Touchpoint
from feedback import assignments, promises
from feedback.models import Case, CaseState, OutcomeState
from incentives.models import Reward, RewardState, Trigger
from insights import rollups
from insights.day import mended
from insights.views.home import spelled
from surveys import versions
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_customer,
    make_invitation,
    make_programme,
    make_staff,
    make_survey,
    make_team,
    make_touchpoint,
)
from tests.insights.conftest import TODAY, Shop
from tests.insights.test_recovery import a_check

MONDAY_14 = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)  # 14:00 in Berlin; the shop closes at 18:00
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def on_monday(moved_clock: Callable[[timedelta], None]) -> None:
    moved_clock(MONDAY_14 - clock.now())


@pytest.fixture
def brand(client: Client) -> Brand:
    return make_brand()


def home(client: Client, staff: Staff) -> str:
    client.sign_in(staff)
    answer = client.get("/")
    assert answer.status_code == 200
    return " ".join(answer.get_data(as_text=True).split())


def won(case: Case, *, words: str | None = None, at: datetime = MONDAY_14 - HOUR) -> None:
    """The case's customer was won back, and said so."""
    case.state, case.resolved_at, case.won_back_at, case.closed_at = CaseState.CLOSED, at, at, at
    check = a_check(case, OutcomeState.ANSWERED, won=True)
    check.answered_at, check.score = at, 9
    events.record("case.won_back", at=at, actor="customer", customer=case.customer_id, case=case.id)
    survey = make_survey(case.brand)
    invitation = make_invitation(survey, case.customer, outcome_check_id=check.id)
    touchpoint = db.session.get_one(Touchpoint, invitation.touchpoint_id)
    shop = Shop(case.brand, touchpoint, survey, invitation.version_id)
    shop.answer([9], at=at, comment=words, invitation_id=invitation.id, outcome_check_id=check.id)


def test_who_is_not_signed_in_is_led_to_the_door(client: Client) -> None:
    answer = client.get("/")

    assert (answer.status_code, "/login" in answer.headers["Location"]) == (302, True)


def test_a_lead_sees_what_is_late_and_what_comes_in_its_order(client: Client, brand: Brand) -> None:
    make_case(brand, now=MONDAY_14 - 5 * HOUR, customer=make_customer(name="Marc Oudin"))
    make_case(brand, now=MONDAY_14 - HOUR, customer=make_customer(name="Noor Haddad"))

    html = home(client, make_staff("lead", name="Sofia Lind"))

    assert "Good afternoon, Sofia." in html
    assert "One customer has waited longer than we promised. <b>One more</b> is due today." in html
    assert html.index("Marc Oudin") < html.index("14:00, now") < html.index("Noor Haddad")


def test_the_greeting_follows_the_readers_own_time_of_day(client: Client, brand: Brand) -> None:
    assert "Good morning, Ana." in home(client, make_staff("lead", name="Ana Lee", zone="America/New_York"))
    assert "Good evening, Ana." in home(client, make_staff("lead", name="Ana Lee", zone="Asia/Tokyo"))


def test_a_quiet_day_says_so(client: Client, brand: Brand) -> None:
    html = home(client, make_staff("lead"))

    assert "Nothing is due today" in html
    assert "now</span>" not in html


def test_a_lead_of_one_brand_sees_no_case_of_another(client: Client, brand: Brand) -> None:
    case = make_case(make_brand(), now=MONDAY_14 - HOUR, customer=make_customer(name="Foreign Person"))
    won(make_case(make_brand(), now=MONDAY_14 - 3 * HOUR), words="Foreign praise")

    html = home(client, make_staff("lead", team=make_team(brand)))

    assert case.number
    assert "Foreign" not in html


def test_who_has_room_counts_open_cases_and_those_of_nobody(client: Client, brand: Brand) -> None:
    daniel = make_staff("agent", name="Daniel Okafor")
    daniel.capacity = 4
    for _ in range(3):
        assignments.claim(make_case(brand, now=MONDAY_14 - HOUR), daniel, MONDAY_14)
    make_case(brand, now=MONDAY_14 - HOUR)

    html = home(client, make_staff("lead"))

    assert "3 of 4" in html
    assert "1 case has no owner yet." in html


def test_who_was_won_back_this_week_is_quoted_in_gold(client: Client, brand: Brand) -> None:
    won(
        make_case(brand, now=MONDAY_14 - 20 * HOUR, customer=make_customer(name="Paula Ruiz")), words="Then Priya rang."
    )
    won(make_case(brand, now=MONDAY_14 - 20 * HOUR))
    won(make_case(brand, now=MONDAY_14 - 900 * HOUR), words="Long ago", at=MONDAY_14 - timedelta(days=9))

    html = home(client, make_staff("lead"))

    assert "2 won back" in html
    assert "Then Priya rang." in html
    assert "Paula Ruiz" in html
    assert "Long ago" not in html


def test_an_agent_has_mended_only_their_own_cases(client: Client, brand: Brand) -> None:
    priya, daniel = make_staff("agent"), make_staff("agent")
    for staff in (priya, priya, daniel):
        case = make_case(brand, now=MONDAY_14 - 20 * HOUR)
        assignments.claim(case, staff, MONDAY_14)
        won(case)

    assert mended(priya, now=MONDAY_14, own=True).count == 2
    assert mended(priya, now=MONDAY_14).count == 3


def test_an_agent_sees_their_own_day_and_nobody_elses(client: Client, brand: Brand) -> None:
    priya = make_staff("agent", name="Priya Raman")
    mine = make_case(brand, now=MONDAY_14 - HOUR, customer=make_customer(name="Mine Own"))
    make_case(brand, now=MONDAY_14 - HOUR, customer=make_customer(name="Not Mine"))
    assignments.claim(mine, priya, MONDAY_14)

    html = home(client, priya)

    assert "Mine Own" in html
    assert "Not Mine" not in html
    assert "The next case is due today at 17:00." in html


def test_an_agent_without_work_is_told_whom_to_help(client: Client, brand: Brand) -> None:
    daniel = make_staff("agent", name="Daniel Okafor")
    assignments.claim(make_case(brand, now=MONDAY_14 - HOUR), daniel, MONDAY_14)

    html = home(client, make_staff("agent", name="Priya Raman"))

    assert "Nothing waits for you, Priya." in html
    assert "Daniel has one case." in html
    assert f"/desk?owner={daniel.public_id}" in html


def test_promises_kept_today_are_counted_for_who_kept_them(client: Client, brand: Brand) -> None:
    priya = make_staff("agent", name="Priya Raman")
    events.record("promise.kept", at=MONDAY_14 - HOUR, actor=events.staff_actor(priya.id))
    events.record("promise.kept", at=MONDAY_14 - 30 * HOUR, actor=events.staff_actor(priya.id))
    events.record("promise.kept", at=MONDAY_14 - HOUR, actor="staff:0")

    assert "You kept one promise today." in home(client, priya)


def test_a_marketer_sees_what_waits_for_a_yes_and_how_budgets_stand(client: Client, brand: Brand) -> None:
    programme = make_programme(brand, budget=10_000, trigger=Trigger.GOODWILL, name="Goodwill credit")
    db.session.execute(
        insert(Reward).values(
            public_id="waiting",
            programme_id=programme.id,
            customer_id=make_customer(name="Marc Oudin").id,
            reason="goodwill:1",
            state=RewardState.WAITING,
            amount_minor=6000,
            currency="EUR",
            by="system",
            created_at=MONDAY_14 - HOUR,
        )
    )
    programme.reserved_minor = 6000

    html = home(client, make_staff("marketer"))

    assert "One gesture waits for your yes. Every running programme is within its budget." in html
    assert "€60 goodwill for \u2068Marc Oudin\u2069" in html
    assert "€40 left" in html


def test_a_marketer_is_warned_before_a_budget_is_gone(client: Client, brand: Brand) -> None:
    programme = make_programme(brand, budget=10_000, name="Thank-you")
    programme.spent_minor = 9500

    assert "Thank-you: less than a tenth of the budget is left." in home(client, make_staff("marketer"))


def test_an_analyst_sees_figures_with_their_doubt_and_no_names(client: Client, brand: Brand) -> None:
    survey = make_survey(brand)
    shop = Shop(brand, make_touchpoint(brand), survey, versions.current(survey.id).id)
    shop.answer([10] * 40 + [0] * 10, on=TODAY - timedelta(days=3))
    shop.answer(
        [2], on=TODAY - timedelta(days=1), comment="Too late.", customer_id=make_customer(name="Secret Name").id
    )
    rollups.fold(now=clock.now())

    html = home(client, make_staff("analyst"))

    assert "+57" in html
    assert "Too late." in html
    assert "Secret Name" not in html
    assert 'name="q"' not in html, "who may not see customers has no box to look for them"


def test_an_administrator_is_told_of_work_that_was_given_up(client: Client, brand: Brand) -> None:
    admin = make_staff("admin")
    assert "Everything runs" in home(client, admin)
    db.session.add(
        Work(
            queue="messages",
            handler="message.send",
            dedupe_key="x",
            ids={},
            created_at=MONDAY_14,
            due_at=MONDAY_14,
            dead_at=MONDAY_14,
        )
    )

    html = home(client, admin)

    assert "1 piece of work was given up" in html
    assert "Something behind the pages needs a look." in html


@pytest.mark.parametrize(
    ("role", "most"), [("lead", 22), ("agent", 22), ("marketer", 16), ("analyst", 20), ("admin", 18)]
)
def test_home_costs_the_same_at_one_and_at_three_cases(client: Client, brand: Brand, role: str, most: int) -> None:
    staff, soon = make_staff(role), promises.Appointment(MONDAY_14.date(), time(15), "Europe/Berlin")
    client.sign_in(staff)
    counts = []
    for times in (1, 2):
        for _ in range(times):
            case = make_case(brand, now=MONDAY_14 - HOUR)
            assignments.claim(case, staff, MONDAY_14)
            promises.make(case, words="Poles", when=soon, keeper=staff, by=staff, now=MONDAY_14)
            won(make_case(brand, now=MONDAY_14 - 20 * HOUR), words="Thanks.")
        client.get("/")
        with count_queries() as queries:
            assert client.get("/").status_code == 200
        counts.append(queries.count)

    assert counts[0] == counts[1] <= most, counts


def test_small_numbers_are_words_and_uncounted_ones_say_so(client: Client) -> None:
    with client.application.test_request_context():
        assert [spelled(0), spelled(12), spelled(13), spelled(100)] == ["none", "twelve", "13", "99+"]
