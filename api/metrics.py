"""GET /api/v1/metrics/nps|csat|ces: a score with its interval, whole and by group, as the insights page shows it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from flask import Blueprint, Response, jsonify, request

from core import access, clock
from core.errors import BadInput, NotFound
from insights import metrics
from insights.metrics import Asked, GroupBy
from surveys.scoring import Metric

LONGEST: Final = timedelta(days=3660)
DEFAULT: Final = timedelta(days=89)
PARAMETERS: Final = frozenset({"survey", "touchpoint", "tier", "from", "to", "group_by"})

blueprint = Blueprint("metrics", __name__, url_prefix="/api/v1/metrics")


@blueprint.get("/<name>")
@access.api("metrics:read")
def show(name: str) -> Response:
    """Answer {"metric", "n", "value", "low", "high", "few", "groups"}; by default of the last 90 days.

    With fewer than 30 answers `few` is true; with fewer than 5 there is no value. Days are the brand's, both included.
    """
    if name not in list(Metric):
        raise NotFound(f"There is no metric of this name; there are {', '.join(Metric)}.")
    unknown = sorted(set(request.args) - PARAMETERS)
    if unknown:
        raise BadInput([{"field": field[:80], "detail": "There is no such parameter."} for field in unknown])
    start, end = _period()
    asked = Asked(
        Metric(name),
        start,
        end,
        survey_ids=metrics.survey_ids(_text("survey")),
        touchpoint_ids=metrics.touchpoint_ids(_text("touchpoint")),
        tiers=tuple(filter(None, [_text("tier")])),
    )
    return jsonify(metrics.report(asked, group_by=_group_by()).to_json())


def _period() -> tuple[date, date]:
    end = _day("to") or clock.now().date()
    start = _day("from") or end - DEFAULT
    if start > end:
        raise BadInput([{"field": "from", "detail": "It lies after `to`."}])
    if end - start > LONGEST:
        raise BadInput([{"field": "from", "detail": "The period is longer than ten years."}])
    return start, end


def _day(name: str) -> date | None:
    value = _text(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise BadInput([{"field": name, "detail": "It must be a day as in 2026-03-01."}]) from None


def _group_by() -> GroupBy | None:
    value = _text("group_by")
    if value is None:
        return None
    try:
        return GroupBy(value)
    except ValueError:
        raise BadInput([{"field": "group_by", "detail": f"It must be one of {', '.join(GroupBy)}."}]) from None


def _text(name: str) -> str | None:
    value = request.args.get(name)
    if value and "\x00" in value:
        raise BadInput([{"field": name, "detail": "It holds a character that cannot be stored."}])
    return value or None
