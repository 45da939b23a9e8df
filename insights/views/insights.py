"""Insights: the scores with their doubt, recovery, who answers, the journey, and the words to read."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from core import access, clock, formats, spreadsheets
from core.frame import Entry
from core.i18n import language_name
from feedback import problems
from insights import asking, export, happenings, pictures, transitions, words
from insights.asking import Choices, Filters
from insights.overview import Overview, overview
from surveys.scoring import METRICS

blueprint = Blueprint("insights", __name__)
entry = Entry("insights.show", _l("Insights"), "chart", "insights.see", 40)


@blueprint.get("/insights")
@access.needs("insights.see")
def show() -> str:
    now = clock.now()
    filters, offered, found = _found()
    metric = filters.metric
    known = problems.live(current_user)
    stages, journey = pictures.journey(found.stops, found.lately, found.happened, metric)
    return render_template(
        "insights/show.html",
        found=found,
        filters=filters,
        offered=offered,
        periods=_periods(filters),
        metrics=_metrics(filters),
        comparisons=words.COMPARED,
        brands=[(each.key, each.name) for each in offered.brands],
        touchpoints=[
            (each.key, each.name) for each in offered.places if not each.archived or each.key == filters.touchpoint
        ],
        channels=[(each, words.channel(each)) for each in offered.channels],
        languages=[(each, language_name(each)) for each in offered.languages],
        tiers=[(each, each) for each in _with(offered.tiers, filters.tier)],
        clear_href=url_for(".show", **filters.with_(**dict.fromkeys(asking.WORDS, "")).args),
        words=words,
        figure=found.report.figure,
        compared=_compared(found, filters),
        trend=pictures.trend(found.trend, metric),
        trend_rows=pictures.trend_rows(found.trend, metric),
        finding=words.trend(found.trend, metric),
        distribution=pictures.distribution(found.report.counts, metric),
        distribution_rows=pictures.distribution_rows(found.report.counts, metric),
        distribution_words=pictures.distribution_words(found.report.counts, metric),
        states=[words.state_name(metric, state) for state in transitions.STATES],
        moves_rows=pictures.moves_rows(found.moves, metric),
        moves=pictures.moves(found.moves, metric),
        moved=pictures.moved_up(found.moves),
        volume=happenings.by_volume(found.happened),
        damage=happenings.by_damage(found.happened),
        leaving=[(each, pictures.leaving_rows(each)) for each in found.leaving[:3]],
        stages=stages,
        journey=journey,
        journey_legend=pictures.journey_legend(metric),
        address=lambda **changed: url_for(".show", **filters.with_(**changed).args),
        exports=[(form.upper(), url_for(f".download_{form}", **filters.args)) for form in spreadsheets.TYPES],
        problems=known,
        problem_of={each.touchpoint_id: each for each in reversed(known) if each.touchpoint_id},
        now=now,
    )


@blueprint.get("/insights.csv")
@access.needs("insights.export")
def download_csv() -> Response:
    return _download(spreadsheets.CSV)


@blueprint.get("/insights.xlsx")
@access.needs("insights.export")
def download_xlsx() -> Response:
    return _download(spreadsheets.XLSX)


def _download(form: str) -> Response:
    """Give what the page shows."""
    filters, _offered, found = _found()
    name = f"insights-{filters.metric}-{filters.start}-{filters.end}"
    return spreadsheets.answer(export.HEAD, export.lines(found), name=name, form=form)


def _found() -> tuple[Filters, Choices, Overview]:
    now = clock.now()
    filters = Filters.read(request.args, today=formats.local(now).date())
    offered = asking.choices(current_user, filters)
    return filters, offered, overview(asking.asked(current_user, filters, offered), filters, offered, now=now)


def _compared(found: Overview, filters: Filters) -> str:
    if found.earlier is not None and found.reworded:
        return words.reworded(found.earlier.figure, filters.compare)
    if found.earlier is None or found.difference is None:
        return ""
    return words.compared(found.report.figure, found.earlier.figure, found.difference, filters.compare)


def _with(offered: list[str], chosen: str) -> list[str]:
    """Return what is offered, and what was chosen elsewhere: a filter without rows in this period stays visible."""
    return [*offered, chosen] if chosen and chosen not in offered else offered


def _periods(filters: Filters) -> list[dict[str, Any]]:
    named = {30: _("30 days"), 90: _("90 days"), 365: _("Year")}
    kept: dict[str, Any] = {name: value for name, value in filters.args.items() if name not in ("days", "from", "to")}
    return [
        {
            "href": url_for(".show", **kept, days=None if days == asking.USUAL_DAYS else days),
            "label": label,
            "current": filters.days == days,
        }
        for days, label in named.items()
    ]


def _metrics(filters: Filters) -> list[dict[str, Any]]:
    return [
        {
            "href": url_for(".show", **filters.with_(metric=metric).args),
            "label": words.SHORT[metric],
            "current": metric is filters.metric,
        }
        for metric in METRICS
    ]
