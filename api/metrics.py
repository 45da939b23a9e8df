"""GET /api/v1/metrics/nps|csat|ces: a score with its interval, whole and by group, as the insights page shows it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from marshmallow import Schema, fields, validate

from api.document import Operation, documented
from api.reading import Day, Strict, Words, load
from core import access, clock
from core.errors import BadInput, NotFound
from insights import metrics
from insights.metrics import Asked, GroupBy
from surveys.scoring import Metric

LONGEST: Final = timedelta(days=3660)
DEFAULT: Final = timedelta(days=89)

blueprint = Blueprint("metrics", __name__, url_prefix="/api/v1/metrics")


class AskedSchema(Strict):
    """The address's parameters."""

    survey = Words(longest=120, metadata={"description": "A survey's key; otherwise all surveys."})
    touchpoint = Words(longest=120, metadata={"description": "A touchpoint's key; otherwise all touchpoints."})
    tier = Words(longest=120, metadata={"description": "A tier of customers as it was sent; otherwise all customers."})
    start = Day(data_key="from", metadata={"description": "The first day; otherwise 89 days before the last one."})
    end = Day(data_key="to", metadata={"description": "The last day, included; otherwise today."})
    group_by = fields.String(validate=validate.OneOf(list(GroupBy), error="It must be one of {choices}."))


class FigureAnswer(Schema):
    metric = fields.String(required=True, validate=validate.OneOf(list(Metric)))
    n = fields.Integer(required=True, metadata={"description": "How many answers."})
    value = fields.Float(required=True, allow_none=True, metadata={"description": "Null below 5 answers."})
    low = fields.Float(required=True, allow_none=True, metadata={"description": "Where the 95 % interval begins."})
    high = fields.Float(required=True, allow_none=True, metadata={"description": "Where it ends."})
    few = fields.Boolean(required=True, metadata={"description": "Below 30 answers."})
    mean = fields.Float(allow_none=True, metadata={"description": "Of CES only: the mean of the answers, 1 to 7."})
    mean_low = fields.Float(allow_none=True)
    mean_high = fields.Float(allow_none=True)


class GroupAnswer(FigureAnswer):
    key = fields.String(required=True)
    name = fields.String(required=True)


class ReportAnswer(FigureAnswer):
    groups = fields.List(fields.Nested(GroupAnswer), required=True)


@blueprint.get("/<name>")
@access.api("metrics:read")
@documented(
    Operation(
        "Read a score",
        query=AskedSchema,
        places={"name": list(Metric)},
        answers={200: ("The score with its interval, whole and by group", ReportAnswer)},
    )
)
def show(name: str) -> Response:
    """Answer {"metric", "n", "value", "low", "high", "few", "groups"}; by default of the last 90 days.

    With fewer than 30 answers `few` is true; with fewer than 5 there is no value. Days are the brand's, both included.
    """
    if name not in list(Metric):
        raise NotFound(f"There is no metric of this name; there are {', '.join(Metric)}.")
    wanted = load(AskedSchema, request.args.to_dict())
    start, end = _period(wanted)
    asked = Asked(
        Metric(name),
        start,
        end,
        survey_ids=metrics.survey_ids(wanted.get("survey")),
        touchpoint_ids=metrics.touchpoint_ids(wanted.get("touchpoint")),
        tiers=tuple(filter(None, [wanted.get("tier")])),
    )
    group_by = GroupBy(wanted["group_by"]) if "group_by" in wanted else None
    return jsonify(metrics.report(asked, group_by=group_by).to_json())


def _period(wanted: dict[str, Any]) -> tuple[date, date]:
    end = wanted.get("end") or clock.now().date()
    start = wanted.get("start") or end - DEFAULT
    if start > end:
        raise BadInput([{"field": "from", "detail": "It lies after `to`."}])
    if end - start > LONGEST:
        raise BadInput([{"field": "from", "detail": "The period is longer than ten years."}])
    return start, end
