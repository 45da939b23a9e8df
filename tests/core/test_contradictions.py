"""Which conditions nothing can meet, and which are left alone because something might."""

from __future__ import annotations

from typing import Any

import pytest

from core import conditions
from core.contradictions import field_of_contradiction

KNOWN = {"status": ("started", "completed")}


def leaf(field: str, op: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([leaf("tier", "==", "gold"), leaf("tier", "==", "silver")], "tier"),
        ([leaf("tier", "in", ["gold"]), leaf("tier", "!=", "gold")], "tier"),
        ([leaf("tier", "in", [])], "tier"),
        ([leaf("score", ">", 5), leaf("score", "<", 5)], "score"),
        ([leaf("score", ">", 5), leaf("score", "<=", 5)], "score"),
        ([leaf("score", "==", 9), leaf("score", "<=", 6)], "score"),
        ([leaf("tier", "is_not_set"), leaf("tier", "==", "gold")], "tier"),
        ([leaf("status", "==", "lost")], "status"),
        ([leaf("status", "not_in", ["started", "completed"])], "status"),
        ([{"any": []}], ""),
        ([{"any": [leaf("status", "==", "lost"), leaf("tier", "in", [])]}], "status"),
        ([{"all": [leaf("score", ">", 5)]}, leaf("score", "<", 3)], "score"),
    ],
)
def test_what_cannot_hold_together_names_its_field(parts: list[dict[str, Any]], field: str) -> None:
    assert field_of_contradiction(conditions.parse({"all": parts}), known=KNOWN) == field


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [leaf("tier", "==", "gold"), leaf("status", "==", "started")],
        [leaf("score", ">=", 5), leaf("score", "<=", 5)],
        [leaf("score", "in", [1, 9]), leaf("score", "<=", 6)],
        [leaf("tier", "is_not_set")],
        [leaf("tier", "is_set"), leaf("tier", "==", "gold")],
        [{"any": [leaf("status", "==", "lost"), leaf("tier", "==", "gold")]}],
        [{"not": leaf("tier", "in", [])}],
        [leaf("status", "!=", "started")],
        [leaf("words", "contains", "tent"), leaf("words", "contains", "rain")],
    ],
)
def test_what_might_hold_is_left_alone(parts: list[dict[str, Any]]) -> None:
    assert field_of_contradiction(conditions.parse({"all": parts}), known=KNOWN) is None
