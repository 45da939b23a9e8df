"""/settings/categories: the team's own trees, of what complaints are about and of root causes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from accounts.views.settings import frame
from core import access, clock
from core.db import db
from core.errors import NotFound
from feedback import trees
from feedback.trees import BadNode

blueprint = Blueprint("trees", __name__, url_prefix="/settings/categories")
Answer = str | Response | tuple[str, int]


@blueprint.get("")
@access.needs("settings.edit")
def show() -> str:
    return _page()


@blueprint.post("/<tree>")
@access.needs("settings.edit")
def add(tree: str) -> Answer:
    """Add a node to one of the two trees."""
    kind, typed = _kind(tree), {"name": request.form.get("name", ""), "parent": request.form.get("parent", "")}

    def run() -> str:
        parent = trees.find(kind, typed["parent"]) if typed["parent"] else None
        node = trees.add(kind, typed["name"], parent=parent, by=_me(), now=clock.now())
        return _("“%(name)s” is added.", name=node.name)

    return _do(run, tree=tree, typed=typed)


@blueprint.post("/<tree>/<public_id>")
@access.needs("settings.edit")
def change(tree: str, public_id: str) -> Answer:
    """Rename, archive or restore a node, as the button says."""
    node, now = trees.find(_kind(tree), public_id), clock.now()
    typed = {"node": public_id, "name": request.form.get("name", node.name)}

    def run() -> str:
        act = request.form.get("act", "rename")
        if act == "archive":
            trees.archive(node, by=_me(), now=now)
            return _("“%(name)s” is archived, with all below it. What was filed under it stays.", name=node.name)
        if act == "restore":
            trees.restore(node, by=_me(), now=now)
            return _("“%(name)s” is offered again.", name=node.name)
        trees.rename(node, typed["name"], by=_me(), now=now)
        return _("It is called “%(name)s” now.", name=node.name)

    return _do(run, tree=tree, typed=typed)


def _do(run: Callable[[], str], *, tree: str, typed: dict[str, str]) -> Answer:
    try:
        said = run()
        db.session.commit()
    except BadNode as refusal:
        db.session.rollback()
        return _page(tree=tree, typed=typed, refusal=refusal), refusal.status
    flash(said, "success")
    return redirect(url_for("trees.show", _anchor=tree))


def _page(*, tree: str = "", typed: dict[str, str] | None = None, refusal: BadNode | None = None) -> str:
    shown = [
        {
            "name": name,
            "branches": (found := trees.branches(kind)),
            "parents": [each for each in found if each.level < trees.DEEPEST - 1],
            "archived": [each for each in trees.branches(kind, archived=True) if each.node.archived_at],
        }
        for name, kind in trees.TREES.items()
    ]
    problem: dict[str, Any] = {"tree": tree, "typed": typed or {}, "refusal": refusal}
    return render_template("feedback/trees.html", trees=shown, problem=problem, most=trees.LONGEST_NAME, frame=frame())


def _kind(tree: str) -> Any:
    if tree not in trees.TREES:
        raise NotFound
    return trees.TREES[tree]


def _me() -> Any:
    return current_user._get_current_object()
