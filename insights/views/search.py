"""The search box of every staff page."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from core import access, clock
from insights import finding
from insights.finding import Found, Place

blueprint = Blueprint("search", __name__)


@blueprint.get("/search")
@access.needs("customers.see")
def search() -> str | Response:
    """Lead to the case whose number this is; else show customers and interactions that match."""
    words, after = finding.words_of(request.args.get("q")), Place.read(request.args.get("after"))
    number = finding.case_number(current_user, words) if words else None
    if number is not None:
        return redirect(url_for("case.show", number=number))
    found = finding.find(current_user, words, after=after) if words else Found((), None, ())
    cases = finding.open_cases(current_user, found.customers) if current_user.may("desk.see") else {}
    return render_template(
        "insights/search.html",
        words=words,
        found=found,
        cases=cases,
        is_first=after is None,
        next_href=url_for(".search", q=words, after=str(found.after)) if found.after else "",
        now=clock.now(),
    )
