"""The desk: lists, groups, filters, counts, what each person sees."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import select

from accounts.models import SavedView, Staff
from core import clock
from core.db import db
from customers.models import Brand
from feedback import assignments, entries, queues
from feedback.models import Case, SlaPolicy
from feedback.queues import Filters, Place
from tests.client import Client, count_queries, kept_plan
from tests.factories import make_brand, make_case, make_customer, make_staff, make_team, make_touchpoint
from tests.feedback.conftest import HOUR, MONDAY_9


def page_of(client: Client, path: str = "/desk") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return unescape(response.get_data(as_text=True))


def make_due(brand: Brand, after: timedelta, **more: object) -> Case:
    """A case whose next act is due `after` now."""
    case = make_case(brand, **more)  # type: ignore[arg-type]
    case.due_at = clock.now() + after
    db.session.flush()
    return case


def test_cases_stand_under_the_time_they_are_due(client: Client, brand: Brand, alice: Staff) -> None:
    for name, after in (("Later", timedelta(days=3)), ("Over", -HOUR), ("Soon", HOUR)):
        make_due(brand, after, customer=make_customer(name=name))
    client.sign_in(alice)

    page = page_of(client)

    order = [
        page.index(words)
        for words in (">Overdue", ">Over<", "Next two hours", ">Soon<", "Tomorrow and after", ">Later<")
    ]
    assert order == sorted(order)
    assert "3 open. 1 overdue, 1 due in the next two hours." in page


def test_the_list_and_every_count_follow_the_indexes_of_the_desk(client: Client, brand: Brand, alice: Staff) -> None:
    """However many cases are closed: PostgreSQL takes a partial index only for what the statement itself says."""
    make_case(brand)
    client.sign_in(alice)
    db.session.commit()
    client.get("/desk")
    with count_queries() as queries:
        client.get("/desk")

    asked = [statement for statement in queries if 'FROM "case"' in statement or 'JOIN "case"' in statement]
    plans = [kept_plan(statement) for statement in asked]

    assert len(plans) >= 3
    for statement, plan in zip(asked, plans, strict=True):
        assert "ix_case_desk" in plan, statement
        assert 'Seq Scan on "case"' not in plan, statement


@pytest.mark.parametrize("query", ["", "?queue=verify", "?group=owner", "?group=touchpoint&score=negative&owner=none"])
def test_the_desk_costs_the_same_at_one_and_three_rows(client: Client, brand: Brand, alice: Staff, query: str) -> None:
    def add() -> None:
        place = make_touchpoint(brand)
        case = make_case(brand, customer=make_customer(tier="summit"), touchpoint_id=place.id)
        if query == "?queue=verify":
            case.state, case.resolved_at = "resolved", clock.now()
        db.session.commit()

    client.sign_in(alice)
    add()
    client.get("/desk" + query)
    with count_queries() as one:
        first = client.get("/desk" + query)
    add()
    add()
    with count_queries() as three:
        page = client.get("/desk" + query)

    assert first.get_data(as_text=True).count('class="case') < page.get_data(as_text=True).count('class="case')
    assert one.count == three.count
    assert one.count <= 10, one


def test_a_team_of_one_brand_sees_its_own_cases_alone(client: Client, brand: Brand, ana: Staff, bob: Staff) -> None:
    case = make_case(brand, customer=make_customer(name="Marc Oudin"))
    client.sign_in(bob)

    assert "Marc Oudin" not in page_of(client)
    assert client.get(f"/desk/cases/{case.number}").status_code == 404
    assert client.post(f"/desk/cases/{case.number}/claim").status_code == 404

    client.sign_in(ana)
    assert "Marc Oudin" in page_of(client)


@pytest.mark.parametrize("role", ["marketer", "analyst"])
def test_the_desk_is_closed_to_who_does_not_work_there(client: Client, role: str) -> None:
    client.sign_in(make_staff(role))

    assert client.get("/desk").status_code == 403


def test_pages_follow_each_other_without_gaps_or_repeats(
    brand: Brand, alice: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "PAGE", 2)
    same = clock.now() + HOUR
    made = [make_case(brand) for _ in range(5)]
    for case in made:
        case.due_at = same
    made[0].due_at = same - HOUR
    db.session.flush()

    for group in queues.GROUPINGS:
        filters, seen, after = Filters(group=group), [], None
        while True:
            page = queues.page(alice, filters, after=after, now=clock.now())
            seen += [case.id for case in page.cases]
            if page.after is None:
                break
            after = Place.read(str(page.after))
        assert seen == [case.id for case in made]


@pytest.mark.parametrize(
    "place", ["x", "1~2~3", "0~2025-01-01T00:00~1", f"0~2025-01-01T00:00+00:00~{2**64}", "~~", "\0"]
)
def test_a_place_that_is_none_begins_at_the_top(client: Client, brand: Brand, alice: Staff, place: str) -> None:
    make_case(brand, customer=make_customer(name="Marc Oudin"))
    client.sign_in(alice)

    response = client.get("/desk", query_string={"after": place, "tier": []})

    assert "Marc Oudin" in response.get_data(as_text=True)


def test_the_cases_before_and_after_follow_the_list(brand: Brand, alice: Staff) -> None:
    made = [make_due(brand, timedelta(hours=number)) for number in (1, 2, 3)]

    assert queues.neighbours(alice, Filters(), made[1], now=clock.now()) == (made[0].number, made[2].number)
    assert queues.neighbours(alice, Filters(), made[0], now=clock.now()) == (None, made[1].number)


def test_filters_narrow_and_say_what_hides_the_rest(client: Client, brand: Brand, alice: Staff, ana: Staff) -> None:
    place = make_touchpoint(brand, name="Store visit")
    mine = make_case(
        brand, customer=make_customer(name="Aylin Demir", tier="summit"), touchpoint_id=place.id, language="de"
    )
    make_case(brand, customer=make_customer(name="Marc Oudin", tier="trail"), metric="csat", score=1)
    assignments.assign(mine, alice, by=alice, now=clock.now())
    client.sign_in(alice)

    for query in ("tier=summit", f"touchpoint={place.key}", "language=de", "owner=me", f"owner={alice.public_id}"):
        page = page_of(client, f"/desk?{query}")
        assert ("Aylin Demir" in page, "Marc Oudin" in page) == (True, False), query
    assert "Marc Oudin" in page_of(client, "/desk?owner=none")
    assert "Marc Oudin" in page_of(client, "/desk?score=negative")
    empty = page_of(client, "/desk?score=complaint&tier=summit")
    assert "These filters hide the rest: Summit and Complaints." in empty
    assert "Clear filters" in empty


def test_each_queue_holds_its_cases(brand: Brand, alice: Staff, ana: Staff) -> None:
    now = clock.now()
    new = make_case(brand, wants="none")
    called = make_case(brand, wants="none")
    entries.log_call(called, reached=True, minutes=1, body=None, by=ana, now=now)
    waiting = make_case(brand, wants="none")
    entries.wait(waiting, by=ana, now=now)
    promised = make_due(brand, -HOUR)
    resolved = make_case(brand, wants="none")
    resolved.state, resolved.resolved_at = "resolved", now
    db.session.flush()

    def held(queue: str) -> set[int]:
        return {case.id for case in queues.page(alice, Filters(queue=queue), after=None, now=now).cases}

    assert held("all") == {new.id, called.id, waiting.id, promised.id}
    assert held("first-contact") == {new.id, promised.id}
    assert held("call-back") == held("promises") == {promised.id}
    assert held("waiting") == {waiting.id}
    assert held("verify") == {resolved.id}
    counted = queues.counts(alice, Filters(), [], now=now)
    assert {name: count.number for name, count in counted.queues.items()} == {
        "all": 4, "first-contact": 2, "call-back": 1, "promises": 1, "waiting": 1, "verify": 1,
    }  # fmt: skip
    assert counted.queues["promises"].late == 1


def test_counts_stop_at_a_hundred(brand: Brand, alice: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "CAP", 2)
    for _ in range(4):
        make_case(brand)

    counted = queues.counts(alice, Filters(), [], now=clock.now())

    assert (counted.here.number, counted.here.shown) == (3, "2+")


def test_a_lead_gives_several_cases_at_once(client: Client, brand: Brand, alice: Staff, ana: Staff) -> None:
    made = [make_case(brand) for _ in range(3)]
    client.sign_in(alice)

    response = client.post(
        "/desk/assign?group=owner", data={"case": [case.label for case in made[:2]], "to": ana.public_id}
    )

    assert response.headers["Location"] == "/desk?group=owner"
    assert [case.assignee_id for case in made] == [ana.id, ana.id, None]


def test_a_lead_cannot_give_a_case_to_who_may_not_see_it(
    client: Client, brand: Brand, alice: Staff, bob: Staff
) -> None:
    case = make_case(brand)
    client.sign_in(alice)

    client.post("/desk/assign", data={"case": case.label, "to": bob.public_id})

    assert case.assignee_id is None


def test_an_agent_takes_only_what_nobody_has(client: Client, brand: Brand, ana: Staff, alice: Staff) -> None:
    free, taken = make_case(brand), make_case(brand)
    assignments.assign(taken, alice, by=alice, now=clock.now())
    client.sign_in(ana)

    client.post("/desk/assign", data={"case": [free.label, taken.label], "to": alice.public_id})

    assert (free.assignee_id, taken.assignee_id) == (ana.id, alice.id)


def test_a_view_is_saved_under_a_name_and_shown_with_its_count(
    client: Client, brand: Brand, alice: Staff, ana: Staff
) -> None:
    make_case(brand, customer=make_customer(tier="summit"))
    client.sign_in(alice)

    client.post("/desk/views?tier=summit&group=owner", data={"name": "High value", "shared": "y"})

    view = db.session.scalars(select(SavedView)).one()
    assert (view.name, view.query, view.shared) == ("High value", {"tier": ["summit"], "group": ["owner"]}, True)
    client.sign_in(ana)
    assert "High value" in page_of(client)


def test_an_agent_keeps_views_to_themselves(client: Client, brand: Brand, ana: Staff) -> None:
    client.sign_in(ana)

    client.post("/desk/views?owner=me", data={"name": "Mine", "shared": "y"})

    assert db.session.scalars(select(SavedView.shared)).one() is False


def test_an_own_view_is_renamed_shared_and_deleted(client: Client, brand: Brand, alice: Staff, ana: Staff) -> None:
    make_case(brand, customer=make_customer(tier="summit"))
    client.sign_in(alice)
    client.post("/desk/views?tier=summit", data={"name": "High value"})
    client.post("/desk/views?owner=me", data={"name": "My own"})
    view = db.session.scalars(select(SavedView).where(SavedView.name == "High value")).one()
    address = f"/desk/views/{view.public_id}"
    assert f'action="{address}/delete"' in page_of(client, "/desk?tier=summit")

    client.post(address, data={"name": "My own"})
    assert "Another of your views has this name already." in page_of(client, "/desk?tier=summit")
    client.post(address, data={"name": "Summit", "shared": "y"})

    assert (view.name, view.shared) == ("Summit", True)
    client.sign_in(ana)
    assert "Change view" not in page_of(client, "/desk?tier=summit")
    assert client.post(address, data={"name": "Mine"}).status_code == 404
    client.sign_in(alice)
    client.post(f"{address}/delete")
    assert db.session.scalars(select(SavedView.name)).all() == ["My own"]


def test_nobody_waiting_is_said_and_leads_on(client: Client, alice: Staff) -> None:
    client.sign_in(alice)

    assert "Nobody is waiting" in page_of(client)
    assert "This queue is empty" in page_of(client, "/desk?queue=waiting")


def test_the_search_field_leads_to_a_case_by_its_number_else_to_customers(
    client: Client, brand: Brand, alice: Staff, bob: Staff
) -> None:
    case = make_case(brand, now=MONDAY_9)
    client.sign_in(alice)

    assert client.get("/search?q=" + case.label.lower()).headers["Location"] == f"/desk/cases/{case.number}"
    assert client.get("/search?q=Hanna Keller").status_code == 200  # what it finds is tested with the search
    client.sign_in(bob)
    assert client.get("/search?q=" + case.label).status_code == 200  # hers is another brand: nothing is given away


def test_a_tier_whose_deadlines_name_a_team_has_its_own_queue(client: Client) -> None:
    brand, summit, rest = make_brand(), make_team(name="Summit desk"), make_team(name="Support")
    times = {"first_contact_minutes": 60, "next_response_minutes": 60, "resolution_minutes": 600}
    tier = {"field": "tier", "op": "==", "value": "summit"}
    db.session.add(SlaPolicy(name="Summit", position=1, conditions=tier, team_id=summit.id, **times))
    db.session.add(SlaPolicy(name="Others", position=2, conditions={}, team_id=rest.id, **times))
    db.session.flush()
    vip = make_case(brand, customer=make_customer(tier="summit", name="Vera Ipsen"))
    make_case(brand, customer=make_customer(name="Otto Other"))
    client.sign_in(make_staff("lead"))

    page = client.get("/desk").text
    queue = client.get(f"/desk?team={summit.public_id}").text

    assert f'/desk?team={summit.public_id}"' in page
    assert "Vera Ipsen" in page
    assert "Otto Other" in page
    assert vip.label in queue
    assert "Vera Ipsen" in queue
    assert "Otto Other" not in queue
    assert "<h1>Summit desk</h1>" in queue


def test_one_team_alone_needs_no_queue_of_its_own(client: Client) -> None:
    team = make_team(name="Support")
    times = {"first_contact_minutes": 60, "next_response_minutes": 60, "resolution_minutes": 600}
    db.session.add(SlaPolicy(name="Others", conditions={}, team_id=team.id, **times))
    client.sign_in(make_staff("lead"))

    assert f"team={team.public_id}" not in client.get("/desk").text
