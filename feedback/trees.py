"""The team's own two trees: what complaints are about, and why things happened. Nodes are archived, never deleted."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from flask_babel import gettext as _
from sqlalchemy import Select, select, text

from core import events
from core.db import db, is_public_id
from core.errors import NotFound, Refusal
from feedback.actors import By, actor_of
from feedback.models import Category, RootCause

Node = Category | RootCause
AnyNode = TypeVar("AnyNode", Category, RootCause)
TREES: Final[dict[str, type[Category] | type[RootCause]]] = {"categories": Category, "causes": RootCause}
LONGEST_NAME: Final = 80
DEEPEST: Final = 4  # levels; deeper ones nobody finds again
MOST: Final = 500  # nodes of a tree, archived ones included


class BadNode(Refusal):
    """A name or place that a node cannot have; `field` is name or parent."""

    code = "bad-node"


@dataclass(frozen=True)
class Branch:
    """A node at its place in its tree; level 0 is the top. `path` names those above it and itself."""

    node: Node
    level: int
    path: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return " › ".join(self.path)


def branches(kind: type[Category] | type[RootCause], *, archived: bool = False) -> list[Branch]:
    """Return a tree from its top, each node above what lies below it, by name; one statement."""
    every = cast(Sequence[Node], db.session.scalars(select(kind).order_by(kind.name, kind.id)).all())
    shown = [each for each in every if archived or each.archived_at is None]
    known = {each.id for each in shown}
    below: dict[int | None, list[Node]] = {}
    for each in shown:
        below.setdefault(each.parent_id if each.parent_id in known else None, []).append(each)
    return [branch for top in below.get(None, ()) for branch in _down(top, below, ())]


def _down(node: Node, below: dict[int | None, list[Node]], above: tuple[str, ...]) -> list[Branch]:
    path = (*above, node.name)
    deeper = [branch for child in below.get(node.id, ()) for branch in _down(child, below, path)]
    return [Branch(node, len(above), path), *deeper]


def below(cause_id: int) -> Select[Any]:
    """Return a query of the ids of a root cause and of all below it."""
    found = select(RootCause.id).where(RootCause.id == cause_id).cte("below", recursive=True)
    return select(found.union(select(RootCause.id).join(found, RootCause.parent_id == found.c.id)).c.id)


def above(cause_id: int) -> Select[Any]:
    """Return a query of the ids of a root cause and of all above it."""
    found = select(RootCause.id, RootCause.parent_id).where(RootCause.id == cause_id).cte("above", recursive=True)
    upper = select(RootCause.id, RootCause.parent_id).join(found, RootCause.id == found.c.parent_id)
    return select(found.union(upper).c.id)


def find(kind: type[AnyNode], public_id: str) -> AnyNode:
    """Return a node or raise NotFound."""
    node = db.session.scalar(select(kind).where(kind.public_id == public_id)) if is_public_id(public_id) else None
    if node is None:
        raise NotFound
    return node


def add(kind: type[AnyNode], name: str, *, parent: AnyNode | None, by: By, now: datetime) -> AnyNode:
    """Add a node at the top or below another. Raises BadNode for a name its siblings have, or a place too deep."""
    _one_at_a_time()
    name = _written(name)
    if parent is not None and parent.archived_at is not None:
        raise BadNode(_("Take the one above out of the archive first."), field="parent")
    if _depth(kind, parent) >= DEEPEST:
        raise BadNode(_("Four levels are the most. Add it one level higher."), field="parent")
    _refuse_twin(kind, name, parent.id if parent else None, except_id=None)
    node = kind(key=_key(name), name=name, parent_id=parent.id if parent else None)
    db.session.add(node)
    db.session.flush()
    _record(node, "added", by, now)
    return node


def rename(node: AnyNode, name: str, *, by: By, now: datetime) -> None:
    """Give a node another name; what was filed under it keeps its place. Raises BadNode."""
    _one_at_a_time()
    name = _written(name)
    if name == node.name:
        return
    _refuse_twin(type(node), name, node.parent_id, except_id=node.id)
    node.name = name
    _record(node, "renamed", by, now)
    db.session.flush()


def archive(node: AnyNode, *, by: By, now: datetime) -> None:
    """Offer a node and all below it no longer; what was filed under them stays readable."""
    for each in _with_all_below(node):
        if each.archived_at is None:
            each.archived_at = now
            _record(each, "archived", by, now)
    db.session.flush()


def restore(node: AnyNode, *, by: By, now: datetime) -> None:
    """Offer an archived node again. Raises BadNode below an archived one, or where its name was given again."""
    _one_at_a_time()
    if node.archived_at is None:
        return
    parent = db.session.get(type(node), node.parent_id) if node.parent_id else None
    if parent is not None and parent.archived_at is not None:
        raise BadNode(_("Take the one above out of the archive first."), field="parent")
    _refuse_twin(type(node), node.name, node.parent_id, except_id=node.id)
    node.archived_at = None
    _record(node, "restored", by, now)
    db.session.flush()


def _written(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise BadNode(_("Give it a name."), field="name")
    if len(name) > LONGEST_NAME:
        raise BadNode(_("A name has at most %(most)s characters.", most=LONGEST_NAME), field="name")
    return name


def _refuse_twin(kind: type[AnyNode], name: str, parent_id: int | None, *, except_id: int | None) -> None:
    siblings = db.session.execute(select(kind.id, kind.name, kind.archived_at).where(kind.parent_id == parent_id)).all()
    for each in siblings:
        if each.id != except_id and each.archived_at is None and each.name.casefold() == name.casefold():
            raise BadNode(_("There is one with this name already."), field="name")
    if len(siblings) >= MOST:
        raise BadNode(_("There are too many here. Archive some, or add it below another."), field="name")


def _depth(kind: type[AnyNode], node: AnyNode | None) -> int:
    depth = 0
    while node is not None and depth <= DEEPEST:
        depth += 1
        node = db.session.get(kind, node.parent_id) if node.parent_id else None
    return depth


def _with_all_below(node: Node) -> list[Node]:
    below = cast(Sequence[Node], db.session.scalars(select(type(node)).where(type(node).parent_id == node.id)).all())
    return [node, *(each for child in below for each in _with_all_below(child))]


def _key(name: str) -> str:
    """Return a key that reads like the name and never changes after it."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", letters).strip("_")[:40] or "node"
    return f"{slug}_{secrets.token_hex(3)}"


def _one_at_a_time() -> None:
    """Two people who add the same name at once get one node: no index can say so of nodes at the top."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(7302, 1)"))


def _record(node: Node, what: str, by: By, now: datetime) -> None:
    noun = "category" if isinstance(node, Category) else "cause"
    events.record(f"{noun}.{what}", at=now, actor=actor_of(by), node=node.id)
