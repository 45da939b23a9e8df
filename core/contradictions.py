"""Conditions that nothing can meet: found by their shape alone, so that nobody waits for what never comes.

Only what must hold together is looked at ("all"); what cannot be judged counts as possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from core.conditions import ORDERING, AllOf, AnyOf, Condition, Leaf, Op, Scalar


def field_of_contradiction(condition: Condition, *, known: Mapping[str, Collection[str]] | None = None) -> str | None:
    """Return a field whose conditions cannot hold together, or None.

    `known` has the only values that some fields can have.
    """
    by_field: dict[str, list[Leaf]] = defaultdict(list)
    for part in _together(condition):
        if isinstance(part, AnyOf):
            found = [field_of_contradiction(each, known=known) for each in part.parts]
            if all(found):
                return found[0] if found else ""
        elif isinstance(part, Leaf):
            by_field[part.field].append(part)
    return next((field for field, leaves in by_field.items() if not _possible(leaves, (known or {}).get(field))), None)


def _together(condition: Condition) -> Iterator[Condition]:
    """Yield what must hold at once."""
    if isinstance(condition, AllOf):
        for part in condition.parts:
            yield from _together(part)
    else:
        yield condition


def _possible(leaves: Sequence[Leaf], known: Collection[str] | None) -> bool:
    ops = {leaf.op for leaf in leaves}
    if Op.IS_NOT_SET in ops and ops != {Op.IS_NOT_SET}:
        return False  # whatever else is asked needs a value
    allowed = _allowed(leaves, known)
    if allowed is not None:
        allowed = [value for value in allowed if not _is_excluded(value, leaves)]
        return any(_is_within(value, leaves) for value in allowed)
    return _has_room(leaves)


def _allowed(leaves: Iterable[Leaf], known: Collection[str] | None) -> list[Scalar] | None:
    """Return the values that are left by "is" and "is one of"; None: any."""
    allowed: list[Scalar] | None = list(known) if known is not None else None
    for leaf in leaves:
        if leaf.op in (Op.EQUAL, Op.IN):
            values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
            given = [value for value in values if value is not None]
            allowed = given if allowed is None else [value for value in allowed if value in given]
    return allowed


def _is_excluded(value: Scalar, leaves: Iterable[Leaf]) -> bool:
    return any(
        (leaf.op is Op.NOT_EQUAL and value == leaf.value)
        or (leaf.op is Op.NOT_IN and isinstance(leaf.value, tuple) and value in leaf.value)
        for leaf in leaves
    )


def _is_within(value: Scalar, leaves: Iterable[Leaf]) -> bool:
    bounds = [leaf for leaf in leaves if leaf.op in ORDERING and _is_number(leaf.value)]
    return not bounds or (
        _is_number(value) and _has_room([*bounds, Leaf("", Op.AT_LEAST, value), Leaf("", Op.AT_MOST, value)])
    )


def _has_room(leaves: Iterable[Leaf]) -> bool:
    """Whether a number fits between the bounds."""
    lows: list[tuple[float, bool]] = []
    highs: list[tuple[float, bool]] = []
    for leaf in leaves:
        if leaf.op in ORDERING and _is_number(leaf.value):
            is_open = leaf.op in (Op.MORE, Op.LESS)
            (lows if leaf.op in (Op.MORE, Op.AT_LEAST) else highs).append((float(leaf.value), is_open))  # type: ignore[arg-type]
    if not lows or not highs:
        return True
    low, high = max(value for value, _open in lows), min(value for value, _open in highs)
    meets_open = (low, True) in lows or (high, True) in highs
    return low < high or (low == high and not meets_open)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
