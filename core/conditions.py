"""Rule trees: the one place that reads and evaluates conditions, as invitations, programmes and policies store them.

A tree is JSON: {"all": […]}, {"any": […]}, {"not": {…}}, or a leaf {"field": "score", "op": "<=", "value": 6}. The ops
`is_set` and `is_not_set` take no value, `in` and `not_in` take a list. An empty "all" holds for everyone, an empty
"any" for nobody.

Whether a condition holds is never an error: a comparison with a field that is missing, or of another type than the
value, does not hold, and neither does its opposite (`!=`, `not_in`). Only "not", `is_set` and `is_not_set` speak of
absence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

MAX_DEPTH: Final = 8
MAX_LEAVES: Final = 100
MAX_VALUES: Final = 1_000
MAX_TEXT: Final = 500

Scalar = bool | int | float | Decimal | str


class Op(StrEnum):
    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    IS_SET = "is_set"
    IS_NOT_SET = "is_not_set"


ORDERING: Final = frozenset({Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST})
PRESENCE: Final = frozenset({Op.IS_SET, Op.IS_NOT_SET})
MEMBERSHIP: Final = frozenset({Op.IN, Op.NOT_IN})


class BadCondition(ValueError):
    """A tree that cannot be a condition: `path` says where ("any[1].value", "" for the whole), `reason` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Leaf:
    """One comparison. `value` is a scalar, a tuple for `in` and `not_in`, None for `is_set` and `is_not_set`."""

    field: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    part: Condition


Condition = Leaf | AllOf | AnyOf | Not


def parse(tree: object) -> Condition:
    """Return the condition that a JSON tree describes.

    Raises BadCondition with the path of the fault: an unknown shape, op or member, a value that its op cannot compare,
    more than MAX_DEPTH levels or more than MAX_LEAVES comparisons.
    """
    condition = _parse(tree, "", 1)
    count = sum(1 for _leaf in leaves(condition))
    if count > MAX_LEAVES:
        raise BadCondition("", f"there are {count} comparisons, and {MAX_LEAVES} are the most")
    return condition


def evaluate(condition: Condition, facts: Mapping[str, Any]) -> bool:
    """Tell whether the condition holds for `facts`, a mapping of field to plain value, list, date or aware datetime.

    A field with dots ("customer.tier") is looked up whole first, then step by step through nested mappings.
    """
    match condition:
        case AllOf(parts):
            return all(evaluate(part, facts) for part in parts)
        case AnyOf(parts):
            return any(evaluate(part, facts) for part in parts)
        case Not(part):
            return not evaluate(part, facts)
        case Leaf():
            return _holds(condition, _fact(condition.field, facts))


def explain(condition: Condition, facts: Mapping[str, Any]) -> list[tuple[Leaf, bool]]:
    """Return every comparison in the order written with whether it held on its own, for "why (not)?" pages."""
    return [(leaf, evaluate(leaf, facts)) for leaf in leaves(condition)]


def fields(condition: Condition) -> frozenset[str]:
    """Return the names of all the fields that the condition asks about."""
    return frozenset(leaf.field for leaf in leaves(condition))


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield the comparisons in the order in which they were written."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case Leaf():
            yield condition


def to_json(condition: Condition) -> dict[str, Any]:
    """Return the tree that `parse` reads back as the same condition."""
    match condition:
        case AllOf(parts):
            return {"all": [to_json(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [to_json(part) for part in parts]}
        case Not(part):
            return {"not": to_json(part)}
        case Leaf(field, op, None):
            return {"field": field, "op": str(op)}
        case Leaf(field, op, value):
            return {"field": field, "op": str(op), "value": list(value) if isinstance(value, tuple) else value}


def _parse(tree: object, path: str, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise BadCondition(path, f"conditions go at most {MAX_DEPTH} levels deep")
    if not isinstance(tree, Mapping):
        raise BadCondition(path, 'a condition is an object with "all", "any", "not" or "field"')
    match dict(tree):
        case {"all": parts, **more} if not more:
            return AllOf(_parts(parts, _step(path, "all"), depth))
        case {"any": parts, **more} if not more:
            return AnyOf(_parts(parts, _step(path, "any"), depth))
        case {"not": part, **more} if not more:
            return Not(_parse(part, _step(path, "not"), depth + 1))
        case {"field": field, "op": op, **more} if more.keys() <= {"value"}:
            return _leaf(field, op, more, path)
    raise BadCondition(path, 'a condition has only "all", only "any", only "not", or "field" with "op" and "value"')


def _parts(parts: object, path: str, depth: int) -> tuple[Condition, ...]:
    if not isinstance(parts, list):
        raise BadCondition(path, "this is a list of conditions")
    if len(parts) > MAX_LEAVES:
        raise BadCondition(path, f"there are {len(parts)} conditions, and {MAX_LEAVES} are the most")
    return tuple(_parse(part, f"{path}[{number}]", depth + 1) for number, part in enumerate(parts))


def _leaf(field: object, op: object, more: Mapping[str, object], path: str) -> Leaf:
    if not isinstance(field, str) or not 0 < len(field) <= MAX_TEXT:
        raise BadCondition(_step(path, "field"), "a field is named by a short text")
    try:
        known = Op(op)  # type: ignore[arg-type]
    except ValueError:
        raise BadCondition(_step(path, "op"), f"this is one of {', '.join(Op)}") from None
    return Leaf(field, known, _value(known, more, _step(path, "value")))


def _value(op: Op, more: Mapping[str, object], path: str) -> Scalar | tuple[Scalar, ...] | None:
    if op in PRESENCE:
        if more:
            raise BadCondition(path, f"{op} takes no value")
        return None
    if "value" not in more:
        raise BadCondition(path, f"{op} needs a value")
    if op in MEMBERSHIP:
        return _values(more["value"], op, path)
    value = _scalar(more["value"], path)
    if op in ORDERING and not _has_order(value):
        raise BadCondition(path, f"{op} compares with a number, a date or a moment with its zone")
    return value


def _values(values: object, op: Op, path: str) -> tuple[Scalar, ...]:
    if not isinstance(values, list):
        raise BadCondition(path, f"{op} needs a list of values")
    if len(values) > MAX_VALUES:
        raise BadCondition(path, f"there are {len(values)} values, and {MAX_VALUES} are the most")
    return tuple(_scalar(value, f"{path}[{number}]") for number, value in enumerate(values))


def _scalar(value: object, path: str) -> Scalar:
    if value is None:
        raise BadCondition(path, "null compares with nothing: use is_set or is_not_set")
    if not isinstance(value, (bool, int, float, Decimal, str)):
        raise BadCondition(path, "a value is a text, a number, true or false")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise BadCondition(path, f"a text has at most {MAX_TEXT} characters")
    if not isinstance(value, (bool, str)) and _number(value) is None:
        raise BadCondition(path, "this is not a number that can be compared")
    return value


def _step(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fact(field: str, facts: Mapping[str, Any]) -> object:
    """Return the fact of that name, or None where there is none."""
    if field in facts:
        found: object = facts[field]
        return found
    step, dot, rest = field.partition(".")
    inner = facts.get(step) if dot else None
    return _fact(rest, inner) if isinstance(inner, Mapping) else None


def _holds(leaf: Leaf, fact: object) -> bool:
    if leaf.op in PRESENCE:
        return _is_set(fact) == (leaf.op is Op.IS_SET)
    if leaf.op in MEMBERSHIP:
        return _among(fact, leaf)
    if leaf.op is Op.CONTAINS:
        return _contains(fact, leaf.value)
    if leaf.op in ORDERING:
        return _ordered(leaf.op, fact, leaf.value)
    equal = _equal(fact, leaf.value)
    return equal is (leaf.op is Op.EQUAL)


def _is_set(fact: object) -> bool:
    """Tell whether there is anything: zero and False are, None, "" and an empty list are not."""
    return fact is not None and not (isinstance(fact, (str, list, tuple, set, frozenset, Mapping)) and not fact)


def _among(fact: object, leaf: Leaf) -> bool:
    values = leaf.value if isinstance(leaf.value, tuple) else ()
    verdicts = [_equal(fact, value) for value in values]
    if leaf.op is Op.IN:
        return True in verdicts
    return True not in verdicts and (False in verdicts or (not verdicts and fact is not None))


def _contains(fact: object, value: object) -> bool:
    """Tell whether a text has `value` in it, whatever the case of its letters, or a list has it among its members."""
    if isinstance(fact, str):
        return isinstance(value, str) and value.casefold() in fact.casefold()
    if isinstance(fact, (list, tuple, set, frozenset)):
        return any(_equal(member, value) is True for member in fact)
    return False


def _equal(fact: object, value: object) -> bool | None:
    """Tell whether both are equal; None if they are of kinds that cannot be."""
    if isinstance(fact, bool) or isinstance(value, bool):
        return fact is value if isinstance(fact, bool) and isinstance(value, bool) else None
    if isinstance(fact, str) and isinstance(value, str):
        return fact == value
    pair = _ranked(fact, value)
    return None if pair is None else bool(pair[0] == pair[1])


def _ordered(op: Op, fact: object, value: object) -> bool:
    pair = _ranked(fact, value)
    if pair is None:
        return False
    left, right = pair
    match op:
        case Op.LESS:
            return bool(left < right)
        case Op.AT_MOST:
            return bool(left <= right)
        case Op.MORE:
            return bool(left > right)
    return bool(left >= right)


def _ranked(fact: object, value: object) -> tuple[Any, Any] | None:
    """Return both as numbers, as moments or as dates, whichever both of them are; else None."""
    for reading in (_number, _moment, _day):
        left, right = reading(fact), reading(value)
        if left is not None and right is not None:
            return left, right
    return None


def _has_order(value: Scalar) -> bool:
    return _ranked(value, value) is not None


def _number(value: object) -> int | float | Decimal | None:
    """Return a number that has a place among the others, which infinities and NaN do not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _moment(value: object) -> datetime | None:
    """Return an aware moment, also one written in ISO 8601; a naive one names no moment."""
    if isinstance(value, str) and len(value) > len("2026-01-01"):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return None
    try:
        return value.astimezone(UTC)
    except OverflowError:  # within hours of the first or the last year
        return None


def _day(value: object) -> date | None:
    """Return a plain date, also one written 2026-12-25."""
    if isinstance(value, str) and len(value) == len("2026-12-25"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, date) and not isinstance(value, datetime) else None
