"""Programmes: what they may ask, the states they go through, and codes that are uploaded."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db
from core.events import Event
from incentives import codes, programmes, rewards
from incentives.eligibility import DependsOnScore, UnknownCondition
from incentives.models import Fulfilment, ProgrammeState
from tests.factories import make_brand, make_customer, make_programme, make_staff, make_team


def leaf(field: str, value: Any = "gold") -> dict[str, Any]:
    return {"field": field, "op": "==", "value": value}


@pytest.mark.parametrize(
    "field", ["score", "customer.profile", "band", "nps", "profile_score", "won_back_at", "Rating"]
)
def test_a_reward_never_depends_on_the_score(app: Flask, field: str) -> None:
    tree = {"all": [leaf("tier"), {"not": {"any": [leaf(field, 9)]}}]}

    with pytest.raises(DependsOnScore) as refused:
        make_programme(conditions=tree)

    assert refused.value.field == "conditions"


@pytest.mark.parametrize("tree", [leaf("email"), {"sometimes": []}, {"field": "tier"}])
def test_what_is_no_condition_on_a_customer_is_refused(app: Flask, tree: dict[str, Any]) -> None:
    with pytest.raises(UnknownCondition):
        make_programme(conditions=tree)


def test_a_change_to_a_condition_on_the_score_is_refused_too(app: Flask) -> None:
    programme = make_programme()
    rules = programmes.Rules(**{**programmes.rules_of(programme), "conditions": leaf("score", 10)})

    with pytest.raises(DependsOnScore):
        programmes.change(programme, rules, budget_minor=5000, by="staff:1", now=clock.now())

    assert programme.conditions == {}


def test_a_change_takes_effect_for_new_rewards(app: Flask) -> None:
    programme, now = make_programme(), clock.now()
    old = rewards.reserve(programme, customer=make_customer(), reason="r:1", until=now, by="rule", now=now)

    rules = programmes.Rules(**{**programmes.rules_of(programme), "reward_minor": 800})
    programmes.change(programme, rules, budget_minor=9000, by="staff:1", now=now)
    new = rewards.reserve(programme, customer=make_customer(), reason="r:2", until=now, by="rule", now=now)

    assert old is not None
    assert new is not None
    assert (old.amount_minor, new.amount_minor) == (500, 800)
    changed = db.session.scalars(select(Event).where(Event.kind == "programme.changed")).one()
    assert changed.data["fields"] == ["reward_minor"]


def test_a_programme_is_started_paused_started_and_ended(app: Flask) -> None:
    programme, now = make_programme(running=False), clock.now()

    for verb, state in (
        (programmes.start, ProgrammeState.RUNNING),
        (programmes.pause, ProgrammeState.PAUSED),
        (programmes.start, ProgrammeState.RUNNING),
        (programmes.end, ProgrammeState.ENDED),
    ):
        verb(programme, by="staff:1", now=now)
        assert programme.state == state

    kinds = [event.kind for event in programmes.history(programme)]
    verbs = ["ended", "started", "paused", "started", "funded", "created"]
    assert kinds == [f"programme.{verb}" for verb in verbs]


@pytest.mark.parametrize("verb", [programmes.start, programmes.pause, programmes.end])
def test_an_ended_programme_stays_ended(app: Flask, verb: Any) -> None:
    programme = make_programme()
    programme.state = ProgrammeState.ENDED
    db.session.flush()

    with pytest.raises(programmes.NotPossibleNow):
        verb(programme, by="staff:1", now=clock.now())


def test_a_pool_starts_only_with_codes(app: Flask) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL, running=False)

    with pytest.raises(programmes.BadProgramme):
        programmes.start(programme, by="staff:1", now=clock.now())
    codes.upload(programme, "ONE", by="staff:1", now=clock.now())
    programmes.start(programme, by="staff:1", now=clock.now())

    assert programme.state == ProgrammeState.RUNNING


def test_two_programmes_of_one_name_have_two_keys(app: Flask) -> None:
    brand = make_brand()

    keys = [make_programme(brand, name="Spring *win-back*").key for _time in range(3)]

    assert keys == ["spring-win-back", "spring-win-back-2", "spring-win-back-3"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": " "}, "name"),
        ({"reward_minor": 0}, "reward"),
        ({"code_prefix": "nö"}, "code_prefix"),
        ({"code_prefix": None}, "code_prefix"),
        ({"valid_days": 0}, "valid_days"),
    ],
)
def test_what_makes_no_programme_is_refused_at_its_field(app: Flask, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(programmes.BadProgramme) as refused:
        make_programme(**changed)

    assert refused.value.field == field


def test_a_team_of_one_brand_sees_that_brands_programmes(app: Flask) -> None:
    mine, other = make_programme(), make_programme()
    ana = make_staff("marketer", team=make_team(mine.brand))

    assert programmes.shown_to(ana) == [mine]
    assert programmes.shown_to(make_staff("marketer")) == [mine, other]


def test_codes_are_taken_from_the_first_column_and_duplicates_told_by_line(app: Flask) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL)
    codes.upload(programme, "OLD-1\n", by="staff:1", now=clock.now())

    upload = codes.upload(
        programme,
        'code;value\nNEW-1;5\n\n"NEW-2";5\nNEW-1;5\nOLD-1;5\nwith blank;5\n' + "X" * 65,
        by="staff:1",
        now=clock.now(),
    )

    assert upload.added == 2
    assert [(refused.line, refused.reason) for refused in upload.refused] == [
        (5, "stands on line 2 already"),
        (6, "is in this pool already"),
        (7, "has blanks or signs in it that cannot be typed"),
        (8, "is longer than 64 characters"),
    ]
    assert codes.free_count(programme) == 3


def test_one_code_may_be_in_two_pools(app: Flask) -> None:
    for programme in (make_programme(fulfilment=Fulfilment.POOL), make_programme(fulfilment=Fulfilment.POOL)):
        assert codes.upload(programme, "SAME", by="staff:1", now=clock.now()).added == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00C", b"CODE\x00", "Öl".encode("latin-1")])
def test_a_file_that_is_no_text_is_refused(app: Flask, content: bytes) -> None:
    with pytest.raises(codes.UnreadableCodes):
        codes.read(content)


def test_generated_codes_have_no_letter_that_reads_as_another(app: Flask) -> None:
    made = {codes.new("THANKS") for _code in range(200)}

    assert len(made) == 200
    assert not set("".join(code.removeprefix("THANKS") for code in made)) & set("01258OIZSB")
