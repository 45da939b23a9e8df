from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conditions import (
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_VALUES,
    AllOf,
    BadCondition,
    Leaf,
    Op,
    evaluate,
    explain,
    fields,
    parse,
    to_json,
)


def holds(op: str, value: object, fact: object) -> bool:
    return evaluate(parse({"field": "f", "op": op, "value": value}), {"f": fact})


names = st.sampled_from(("score", "tier", "channel", "value", "customer.tier"))
scalars = st.one_of(
    st.booleans(), st.integers(-20, 20), st.floats(-20, 20), st.sampled_from(("vip", "mail", "2026-01-01", ""))
)
facts = st.dictionaries(
    names,
    st.one_of(
        scalars,
        st.none(),
        st.floats(),
        st.integers(),
        st.text(alphabet="av🙂\x00", max_size=4),
        st.lists(scalars, max_size=3),
        st.decimals(),
        st.dates(),
        st.datetimes(),
        st.datetimes(timezones=st.just(UTC)),
        st.dictionaries(names, scalars, max_size=2),
    ),
)


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(list(Op)))
    leaf: dict[str, Any] = {"field": draw(names), "op": str(op)}
    if op in (Op.IN, Op.NOT_IN):
        leaf["value"] = draw(st.lists(scalars, max_size=4))
    elif op in (Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST):
        leaf["value"] = draw(st.one_of(st.integers(-20, 20), st.just("2026-01-01"), st.just("2026-01-01T00:00:00Z")))
    elif op not in (Op.IS_SET, Op.IS_NOT_SET):
        leaf["value"] = draw(scalars)
    return leaf


trees = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=8,
).filter(lambda tree: _depth(tree) <= MAX_DEPTH)


def _depth(tree: dict[str, Any]) -> int:
    inner = tree.get("all") or tree.get("any") or ([tree["not"]] if "not" in tree else [])
    return 1 + max((_depth(part) for part in inner), default=0)


# What holds


@pytest.mark.parametrize(
    ("op", "value", "fact", "expected"),
    [
        ("==", 6, 6, True),
        ("==", 6, 6.0, True),
        ("==", 6, Decimal("6.00"), True),
        ("==", 6, 7, False),
        ("==", "vip", "vip", True),
        ("==", "vip", "VIP", False),
        ("==", True, True, True),
        ("!=", 6, 7, True),
        ("!=", 6, 6, False),
        ("!=", True, False, True),
        ("<", 6, 5, True),
        ("<", 6, 6, False),
        ("<=", 6, 6, True),
        ("<=", 6, 7, False),
        (">", 6, 7, True),
        (">", 6, 6, False),
        (">=", 6, 6, True),
        (">=", 6, 5, False),
        (">=", 10**400, 1.5, False),
        ("in", ["mail", "phone"], "mail", True),
        ("in", ["mail", "phone"], "store", False),
        ("in", [], "mail", False),
        ("in", [1, "1"], "1", True),
        ("not_in", ["mail", "phone"], "store", True),
        ("not_in", ["mail", "phone"], "mail", False),
        ("not_in", [], "mail", True),
        ("contains", "LATE", "It came late.", True),
        ("contains", "early", "It came late.", False),
        ("contains", "late", ["late", "broken"], True),
        ("contains", 3, [1, 2, 3.0], True),
        ("contains", "la", ["late"], False),
        ("==", "2026-03-01", date(2026, 3, 1), True),
        ("<", "2026-03-01", date(2026, 2, 28), True),
        ("<", "2026-03-01", "2026-02-28", True),
        (">=", "2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC), True),
        (">=", "2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=1))), False),
        (">=", "2026-03-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00", True),
    ],
)
def test_a_comparison_holds_when_it_says_so(op: str, value: object, fact: object, expected: bool) -> None:
    assert holds(op, value, fact) is expected


@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("==", 6),
        ("!=", 6),
        ("<", 6),
        ("<=", 6),
        (">", 6),
        (">=", 6),
        ("in", [6]),
        ("not_in", [6]),
        ("not_in", []),
        ("contains", "6"),
    ],
)
def test_a_comparison_with_nothing_does_not_hold_and_neither_does_its_opposite(op: str, value: object) -> None:
    assert evaluate(parse({"field": "f", "op": op, "value": value}), {}) is False
    assert holds(op, value, None) is False


@pytest.mark.parametrize(
    ("op", "value", "fact"),
    [
        ("==", 6, "6"),
        ("!=", 6, "7"),
        ("==", 1, True),
        ("!=", 1, False),
        ("==", True, 1),
        ("<", 2, True),
        ("<", 6, "5"),
        ("<=", 6, float("nan")),
        ("!=", 6, float("nan")),
        ("!=", 6, Decimal("sNaN")),
        ("<", 6, float("-inf")),
        ("<", 6, [1]),
        ("in", ["6"], 6),
        ("not_in", ["6"], 6),
        ("in", [6], {"a": 6}),
        ("contains", 6, "6"),
        ("contains", "6", 6),
        ("contains", "a", {"a": 1}),
        ("<", "2026-03-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("<", "2026-03-01T00:00:00Z", datetime(2026, 2, 1)),
        ("<", "2026-03-01T00:00:00Z", datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))),
        ("!=", "x", 5),
    ],
)
def test_values_of_different_kinds_never_hold(op: str, value: object, fact: object) -> None:
    assert holds(op, value, fact) is False


@pytest.mark.parametrize(
    ("fact", "is_set"),
    [(0, True), (False, True), ("x", True), ([0], True), (None, False), ("", False), ([], False), ({}, False)],
)
def test_zero_and_false_are_set_and_emptiness_is_not(fact: object, is_set: bool) -> None:
    assert evaluate(parse({"field": "f", "op": "is_set"}), {"f": fact}) is is_set
    assert evaluate(parse({"field": "f", "op": "is_not_set"}), {"f": fact}) is not is_set
    assert evaluate(parse({"field": "f", "op": "is_not_set"}), {}) is True


def test_all_needs_every_part_any_needs_one_and_not_turns_round() -> None:
    low = {"field": "score", "op": "<=", "value": 6}
    vip = {"field": "tier", "op": "==", "value": "vip"}

    seen = [
        [evaluate(parse(tree), {"score": score, "tier": tier}) for score in (3, 9) for tier in ("vip", "plain")]
        for tree in ({"all": [low, vip]}, {"any": [low, vip]}, {"not": low})
    ]

    assert seen == [[True, False, False, False], [True, True, True, False], [False, False, True, True]]


def test_an_empty_all_is_for_everyone_and_an_empty_any_for_nobody() -> None:
    assert evaluate(parse({"all": []}), {}) is True
    assert evaluate(parse({"any": []}), {}) is False


def test_a_dotted_field_is_looked_up_whole_and_then_by_steps() -> None:
    vip = parse({"field": "customer.tier", "op": "==", "value": "vip"})

    assert evaluate(vip, {"customer.tier": "vip", "customer": {"tier": "plain"}})
    assert evaluate(vip, {"customer": {"tier": "vip"}})
    assert not evaluate(vip, {"customer": "vip"})
    assert not evaluate(vip, {"customer": {"tier": {"tier": "vip"}}})


def test_explaining_tells_of_every_comparison_also_of_those_that_were_not_needed() -> None:
    condition = parse(
        {"any": [{"field": "a", "op": "==", "value": 1}, {"not": {"field": "b", "op": "is_set"}}, {"all": []}]}
    )

    told = explain(condition, {"a": 1, "b": 2})

    assert told == [(Leaf("a", Op.EQUAL, 1), True), (Leaf("b", Op.IS_SET), True)]
    assert fields(condition) == {"a", "b"}


@given(trees, facts)
def test_any_condition_answers_yes_or_no_for_any_facts(tree: dict[str, Any], given_facts: dict[str, Any]) -> None:
    condition = parse(tree)

    verdict = evaluate(condition, given_facts)

    assert isinstance(verdict, bool)
    assert evaluate(parse({"not": tree}), given_facts) is not verdict if _depth(tree) < MAX_DEPTH else True
    assert all(isinstance(held, bool) for _leaf, held in explain(condition, given_facts))
    assert {leaf.field for leaf, _held in explain(condition, given_facts)} == fields(condition)


@given(trees)
def test_a_condition_survives_storage_as_json(tree: dict[str, Any]) -> None:
    condition = parse(tree)

    assert parse(json.loads(json.dumps(to_json(condition)))) == condition


@given(facts, st.sampled_from([("==", "!="), ("<", ">="), (">", "<="), ("in", "not_in")]), st.integers(-20, 20))
def test_a_comparison_and_its_opposite_never_both_hold(
    given_facts: dict[str, Any], ops: tuple[str, str], value: int
) -> None:
    operand: object = [value] if ops[0] == "in" else value

    both = [evaluate(parse({"field": "score", "op": op, "value": operand}), given_facts) for op in ops]

    number = given_facts.get("score")
    is_number = isinstance(number, (int, float, Decimal)) and not isinstance(number, bool)
    finite = is_number and not (isinstance(number, Decimal) and not number.is_finite()) and abs(number) < 10**30
    assert sum(both) == (1 if finite else 0) or (isinstance(number, (int, float, Decimal)) and sum(both) == 1)


# What is refused


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        (None, ""),
        ([], ""),
        ("score < 6", ""),
        ({}, ""),
        ({"field": "f"}, ""),
        ({"all": [], "any": []}, ""),
        ({"all": [], "field": "f", "op": "is_set"}, ""),
        ({"field": "f", "op": "is_set", "extra": 1}, ""),
        ({"all": {}}, "all"),
        ({"all": [{"any": [{"field": "f", "op": "=", "value": 1}]}]}, "all[0].any[0].op"),
        ({"all": [{"all": []}, {"field": "f", "op": "<=", "value": "many"}]}, "all[1].value"),
        ({"not": {"field": "", "op": "is_set"}}, "not.field"),
        ({"not": {"field": 7, "op": "is_set"}}, "not.field"),
        ({"field": "f", "op": None, "value": 1}, "op"),
        ({"field": "f", "op": [], "value": 1}, "op"),
        ({"field": "f", "op": "=="}, "value"),
        ({"field": "f", "op": "==", "value": None}, "value"),
        ({"field": "f", "op": "==", "value": {"a": 1}}, "value"),
        ({"field": "f", "op": "==", "value": float("nan")}, "value"),
        ({"field": "f", "op": "<", "value": float("inf")}, "value"),
        ({"field": "f", "op": "<", "value": True}, "value"),
        ({"field": "f", "op": "<", "value": "2026-03-01T00:00:00"}, "value"),
        ({"field": "f", "op": "<", "value": "2026-02-30"}, "value"),
        ({"field": "f", "op": "in", "value": "mail"}, "value"),
        ({"field": "f", "op": "in", "value": ["mail", None]}, "value[1]"),
        ({"field": "f", "op": "in", "value": [0] * (MAX_VALUES + 1)}, "value"),
        ({"field": "f", "op": "==", "value": "x" * 501}, "value"),
        ({"field": "f", "op": "is_set", "value": True}, "value"),
    ],
)
def test_a_malformed_tree_is_refused_with_the_path_of_the_fault(tree: object, path: str) -> None:
    with pytest.raises(BadCondition) as refused:
        parse(tree)

    assert refused.value.path == path
    assert refused.value.reason
    assert str(refused.value).startswith(path)


def test_a_tree_of_any_depth_is_refused_beyond_the_bound_without_exhausting_the_stack() -> None:
    tree: dict[str, Any] = {"all": []}
    for level in range(2, 100_000):
        tree = {"not": tree}
        if level == MAX_DEPTH:
            parse(tree)

    with pytest.raises(BadCondition, match="levels deep") as refused:
        parse(tree)

    assert refused.value.path == ".".join(["not"] * MAX_DEPTH)


def test_a_tree_of_too_many_comparisons_is_refused() -> None:
    leaf = {"field": "f", "op": "is_set"}
    wide = {"any": [{"any": [leaf] * 50}, {"any": [leaf] * 50}]}

    assert isinstance(parse({"all": [leaf] * MAX_LEAVES}), AllOf)
    parse(wide)
    wide["any"].append(leaf)
    with pytest.raises(BadCondition, match="101 comparisons"):
        parse(wide)
    with pytest.raises(BadCondition, match="are the most"):
        parse({"all": [leaf] * (MAX_LEAVES + 1)})
