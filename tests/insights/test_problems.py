"""Problems on their pages, on the insights page's alarm, and on the cases that may be one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from accounts.models import Staff
from core import clock
from core.db import db, new_public_id
from core.events import Event
from feedback import problems
from feedback.models import CaseState, CorrectiveAction, Problem, ProblemState
from feedback.problems import ProblemData
from insights import happenings, rollups
from tests.client import Client
from tests.factories import (
    make_brand,
    make_case,
    make_interaction,
    make_problem,
    make_root_cause,
    make_staff,
    make_team,
    make_touchpoint,
)
from tests.insights.conftest import NOON, TODAY, Shop
from tests.settings_pages import fields

pytestmark = pytest.mark.usefixtures("to_noon")
HOME = "/insights/problems"


def sign_in(client: Client, role: str = "lead", **more: Any) -> Any:
    staff = make_staff(role, **more)
    client.sign_in(staff)
    return staff


def acted_upon(shop: Shop, *, cases_after: int = 1) -> Problem:
    """A problem that twenty of a hundred had, and some of a hundred since."""
    cause, acted_on = make_root_cause(name="Courier damage"), TODAY - timedelta(days=29)
    for day, cases in ((acted_on - timedelta(days=5), 20), (acted_on + timedelta(days=5), cases_after)):
        at = datetime.combine(day, NOON)
        for _ in range(100):
            make_interaction(shop.touchpoint, occurred_at=at)
        for _ in range(cases):
            case = make_case(shop.brand, now=at, touchpoint_id=shop.touchpoint.id)
            case.root_cause_id, case.state = cause.id, CaseState.RESOLVED
    problem = make_problem(touchpoint=shop.touchpoint, brand_id=shop.brand.id, root_cause=cause)
    action = CorrectiveAction(words="Another courier", acted_on=acted_on, form_key="k", by="staff:1", at=clock.now())
    problem.actions.append(action)
    problem.state = ProblemState.ACTED
    happenings.recount(TODAY - timedelta(days=130), TODAY)
    return problem


def test_the_alarm_opens_a_problem_that_says_what_it_saw(client: Client, shop: Shop) -> None:
    shop.answer([10] * 60, on=TODAY - timedelta(days=40))
    shop.answer([10] * 10 + [0] * 40)
    rollups.fold(now=clock.now())
    me = sign_in(client, "analyst", name="Inês Correia")
    page = client.get("/insights").text
    href = f"{HOME}/new?at={shop.touchpoint.key}"
    assert href in page

    filled = fields(client, href, f"{HOME}/new")
    answer = client.post(f"{HOME}/new", data=filled)

    problem = db.session.scalars(select(Problem)).one()
    assert answer.location == f"{HOME}/{problem.public_id}"
    assert problem.title == f"{shop.touchpoint.name}: lately worse than before"
    assert "NPS from +100 to −60" in problem.known
    assert (problem.touchpoint_id, problem.brand_id, problem.owner_id) == (shop.touchpoint.id, shop.brand.id, me.id)
    assert "To its problem" in client.get("/insights").text
    assert [event.kind for event in db.session.scalars(select(Event).where(Event.kind.like("problem.%")))] == [
        "problem.opened"
    ]


def test_an_address_that_asks_for_an_alarm_that_is_none_shows_an_empty_form(client: Client, shop: Shop) -> None:
    sign_in(client)

    filled = fields(client, f"{HOME}/new?at={shop.touchpoint.key}", f"{HOME}/new")

    assert filled["title"] == [""]
    assert filled["touchpoint"] == [""]


def test_a_case_opens_a_problem_of_its_place_and_cause(client: Client, shop: Shop) -> None:
    case, cause = make_case(shop.brand, touchpoint_id=shop.touchpoint.id), make_root_cause()
    case.root_cause_id, case.summary = cause.id, "Hanna Keller rang twice"  # a person's words are no title
    sign_in(client)
    href = f"{HOME}/new?case={case.number}"
    assert href in client.get(f"/desk/cases/{case.number}").text

    filled = fields(client, href, f"{HOME}/new")

    assert filled["title"] == ["Late or damaged"]
    assert (filled["touchpoint"], filled["cause"]) == ([shop.touchpoint.key], [cause.public_id])
    sign_in(client, team=make_team(make_brand()))
    assert client.get(href).status_code == 404
    sign_in(client, "analyst")  # who does not see cases
    assert "Late or damaged" not in client.get(href).text
    sign_in(client, "agent")
    assert href not in client.get(f"/desk/cases/{case.number}").text


def test_without_a_title_nothing_is_opened_and_what_was_typed_stays(client: Client, shop: Shop) -> None:
    sign_in(client)
    filled = fields(client, f"{HOME}/new") | {"known": ["Two couriers, one van."]}

    answer = client.post(f"{HOME}/new", data=filled)

    assert answer.status_code == 422
    assert "Say in a line what goes wrong" in answer.text
    assert "Two couriers, one van." in answer.text
    assert db.session.scalar(select(Problem)) is None


def test_the_same_form_twice_at_the_same_moment_opens_one_problem(app: Flask) -> None:
    me, key = make_staff("lead"), new_public_id()
    db.session.commit()

    def begin() -> str:
        with app.app_context():
            problem = problems.begin(
                ProblemData("Tents"), form_key=key, by=db.session.get_one(Staff, me.id), now=clock.now()
            )
            db.session.commit()
            return problem.public_id

    with ThreadPoolExecutor(2) as both:
        opened = {each.result() for each in [both.submit(begin), both.submit(begin)]}

    assert len(opened) == 1
    assert len(db.session.scalars(select(Event).where(Event.kind == "problem.opened")).all()) == 1


def test_a_day_that_nobody_means_is_refused(client: Client, app: Flask) -> None:
    sign_in(client)
    at = f"{HOME}/{make_problem().public_id}"

    for day in ("0001-01-01", "1999-12-31", "9999-12-31", "soon"):
        assert client.post(f"{at}/action", data={"action-words": "x", "action-on": day}).status_code == 422
    assert client.get(at).status_code == 200


def test_a_double_click_opens_one_problem_and_writes_one_action(client: Client, app: Flask) -> None:
    sign_in(client)
    filled = fields(client, f"{HOME}/new") | {"title": ["Tents arrive damaged"]}
    one, two = (client.post(f"{HOME}/new", data=filled).location for _ in range(2))
    done = fields(client, str(one), f"{one}/action") | {
        "action-words": ["Another courier"],
        "action-on": [TODAY.isoformat()],
    }

    for _ in range(2):
        assert client.post(f"{one}/action", data=done).status_code == 302

    problem = db.session.scalars(select(Problem)).one()
    assert one == two == f"{HOME}/{problem.public_id}"
    assert [(each.words, each.acted_on) for each in problem.actions] == [("Another courier", TODAY)]
    assert problem.state == ProblemState.ACTED


def test_a_day_to_come_is_refused_at_its_field(client: Client, app: Flask) -> None:
    sign_in(client)
    at = f"{HOME}/{make_problem().public_id}"
    tomorrow = (TODAY + timedelta(days=1)).isoformat()

    answer = client.post(f"{at}/action", data={"action-words": "Another courier", "action-on": tomorrow})

    assert answer.status_code == 422
    assert 'id="action-on-e">This day is still to come.' in answer.text
    assert "Another courier" in answer.text
    assert db.session.scalar(select(CorrectiveAction)) is None


def test_it_is_verified_only_once_it_happens_less(client: Client, shop: Shop) -> None:
    problem = acted_upon(shop, cases_after=14)
    sign_in(client)
    at = f"{HOME}/{problem.public_id}"
    assert "No difference yet" in client.get(at).text

    refused = client.post(f"{at}/close", data={"close-because": "verified"})
    assert refused.status_code == 422
    assert "It does not happen less yet" in refused.text

    client.post(f"{at}/close", data={"close-because": "accepted"})
    assert (problem.state, problem.closed_because) == (ProblemState.CLOSED, "accepted")
    client.post(f"{at}/reopen")
    assert (problem.state, problem.closed_at) == (ProblemState.ACTED, None)


def test_what_happens_less_can_be_closed_as_verified(client: Client, shop: Shop) -> None:
    problem = acted_upon(shop)
    sign_in(client)
    page = client.get(f"{HOME}/{problem.public_id}").text
    assert "It happens less." in page
    assert "200.0" in page and "10.0" in page

    client.post(f"{HOME}/{problem.public_id}/close", data={"close-because": "verified"})

    assert problem.closed_because == "verified"
    assert "It happens less since we changed something" in client.get(f"{HOME}/{problem.public_id}").text


def test_a_closed_problem_is_not_changed(client: Client, shop: Shop) -> None:
    problem = make_problem(state=ProblemState.CLOSED, closed_at=clock.now(), closed_because="none")
    sign_in(client)
    at = f"{HOME}/{problem.public_id}"
    data = fields(client, f"{at}/edit") | {"title": ["Another title"]}

    assert client.post(f"{at}/edit", data=data).status_code == 409
    answer = client.post(f"{at}/action", data={"action-words": "x", "action-on": TODAY.isoformat()})

    assert answer.status_code == 409
    assert "Open it again to go on with it" in answer.text
    assert problem.title != "Another title"


def test_two_who_edit_it_at_once_read_both_versions(client: Client, shop: Shop) -> None:
    problem = make_problem(title="Tents arrive damaged")
    sign_in(client)
    at = f"{HOME}/{problem.public_id}/edit"
    mine = fields(client, at) | {"title": ["Tents and bags arrive damaged"]}
    client.post(at, data=fields(client, at) | {"known": ["One van."]})

    answer = client.post(at, data=mine)

    assert answer.status_code == 409
    assert "Both versions" in answer.text
    assert (problem.title, problem.known) == ("Tents arrive damaged", "One van.")


def test_agents_read_problems_and_do_not_work_on_them(client: Client, shop: Shop) -> None:
    problem = make_problem(known="One van.")
    sign_in(client, "agent")

    page = client.get(f"{HOME}/{problem.public_id}").text

    assert "One van." in page
    assert "Write it down" not in page
    assert client.post(f"{HOME}/{problem.public_id}/close", data={"close-because": "none"}).status_code == 403


def test_a_team_of_one_brand_sees_only_its_own(client: Client, shop: Shop) -> None:
    own, other = (
        make_problem(title="Own", brand_id=shop.brand.id),
        make_problem(title="Other", brand_id=make_brand().id),
    )
    every = make_problem(title="Everywhere")
    sign_in(client, team=make_team(shop.brand))

    page = client.get(HOME, follow_redirects=True).text

    assert own.title in page
    assert other.title not in page and every.title not in page
    assert client.get(f"{HOME}/{other.public_id}").status_code == 404
    filled = fields(client, f"{HOME}/new") | {"title": ["Ours"]}
    client.post(f"{HOME}/new", data=filled)
    assert db.session.scalars(select(Problem.brand_id).where(Problem.title == "Ours")).one() == shop.brand.id


def test_without_problems_the_page_says_what_they_are_for(client: Client, app: Flask) -> None:
    sign_in(client)

    assert "When the same thing goes wrong for many" in client.get(HOME).text


def known(case: Any) -> set[str]:
    return {each.title for each in problems.about(case)}


def test_a_case_may_be_one_of_the_problems_of_its_touchpoint_and_its_cause(shop: Shop) -> None:
    cause, other = make_root_cause(), make_root_cause()
    below, elsewhere = make_root_cause(parent_id=cause.id), make_touchpoint(shop.brand)
    here = {"touchpoint": shop.touchpoint, "brand_id": shop.brand.id}
    make_problem(title="here", **here)
    make_problem(title="here, that cause", **here, root_cause=cause)
    make_problem(title="that cause", root_cause=cause)
    make_problem(title="there", touchpoint=elsewhere, brand_id=shop.brand.id)
    make_problem(title="another brand's", root_cause=cause, brand_id=make_brand().id)
    make_problem(title="closed", **here, closed_at=clock.now())
    case, nowhere = make_case(shop.brand, touchpoint_id=shop.touchpoint.id), make_case(shop.brand)

    assert known(case) == {"here", "here, that cause"}
    assert known(nowhere) == set()
    case.root_cause_id = nowhere.root_cause_id = below.id
    assert known(case) == {"here", "here, that cause", "that cause"}
    assert known(nowhere) == {"that cause"}
    case.root_cause_id = other.id
    assert known(case) == {"here"}


def test_the_case_says_what_to_tell_the_customer_meanwhile(client: Client, shop: Shop) -> None:
    problem = make_problem(title="Tents <&> bags", tell="A new one leaves today.", touchpoint=shop.touchpoint)
    case = make_case(shop.brand, touchpoint_id=shop.touchpoint.id)
    sign_in(client, "agent", team=make_team(shop.brand))

    page = client.get(f"/desk/cases/{case.number}").text

    assert "Known problem: Tents &lt;&amp;&gt; bags" in page
    assert "A new one leaves today." in page
    assert problem.public_id not in page  # one of all brands is not theirs to open
    sign_in(client, "agent")
    assert f'href="{HOME}/{problem.public_id}"' in client.get(f"/desk/cases/{case.number}").text


def test_unknown_addresses_are_not_found(client: Client, app: Flask) -> None:
    sign_in(client)

    for address in (f"{HOME}/{new_public_id()}", f"{HOME}/x", f"{HOME}/x/edit"):
        assert client.get(address).status_code == 404
