"""POST /api/v1/interactions: what happened between customer and company, as the shop or the phone system tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from babel.numbers import get_currency_precision, list_currencies
from flask import Blueprint, Response
from marshmallow import Schema, ValidationError, fields, validate, validates

from api import idempotency
from api.document import Operation, Problem, documented
from api.reading import Attributes, Past, Strict, Whole, Words, body, load
from core import access, clock
from core.errors import BadInput
from customers import contacts, interactions, touchpoints
from customers.customers import CustomerData, upsert_many
from customers.interactions import InteractionData
from customers.models import Interaction
from surveys import invitations
from surveys.models import Decision

MOST: Final = 1000
CURRENCIES: Final = frozenset(list_currencies())

blueprint = Blueprint("interactions", __name__, url_prefix="/api/v1/interactions")


class CustomerSchema(Strict):
    external_id = Words(longest=120, allow_none=True)
    name = Words(longest=200, allow_none=True)
    email = Words(longest=contacts.MAX_EMAIL, allow_none=True)
    phone = Words(longest=contacts.MAX_PHONE, allow_none=True)
    language = Words(longest=20, allow_none=True, validate=validate.Regexp(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"))
    tier = Words(longest=60, allow_none=True)

    @validates("email")
    def check_email(self, value: str | None, **_: Any) -> None:
        if value is not None and contacts.written_email(value) is None:
            raise ValidationError("It is no e-mail address, as in hanna@example.com.")


class ValueSchema(Strict):
    amount_minor = Whole(low=-(10**13), high=10**13, required=True)
    currency = Words(longest=3, shortest=3, required=True)

    @validates("currency")
    def check_currency(self, value: str, **_: Any) -> None:
        if value not in CURRENCIES or get_currency_precision(value) > 4:
            raise ValidationError("It must be an ISO 4217 code in capitals, as in EUR.")


class InteractionSchema(Strict):
    reference = Words(longest=200, required=True)
    occurred_at = Past(required=True)
    touchpoint = Words(longest=120, required=True)
    channel = Words(longest=40, load_default="unknown")
    customer = fields.Nested(CustomerSchema, allow_none=True)
    value = fields.Nested(ValueSchema, allow_none=True)
    staff = Words(longest=200, allow_none=True)
    status = fields.String(load_default="completed", validate=validate.OneOf(["completed", "started"]))
    attributes = Attributes(load_default=dict)


class DecisionAnswer(Schema):
    outcome = fields.String(required=True, validate=validate.OneOf(["invited", "delayed", "skipped"]))
    rule = fields.String(required=True, metadata={"description": "Which rule decided."})
    send_at = fields.DateTime(required=True, allow_none=True)
    next_eligible_at = fields.DateTime(required=True, allow_none=True)


class InteractionAnswer(Schema):
    id = fields.String(required=True)
    reference = fields.String(required=True)
    created = fields.Boolean(required=True, metadata={"description": "False when it was known."})
    decision = fields.Nested(DecisionAnswer, required=True)


class InteractionInBatch(InteractionAnswer):
    index = fields.Integer(required=True, metadata={"description": "Its place in the array that was sent."})


class RefusedInBatch(Schema):
    index = fields.Integer(required=True)
    status = fields.Integer(required=True)
    problem = fields.Nested(Problem(exclude=("request_id",)), required=True)


ONE_OR_MANY: Final = {
    "oneOf": [InteractionSchema, {"type": "array", "minItems": 1, "maxItems": MOST, "items": InteractionSchema}]
}
KEPT_IN_BATCH: Final = {"type": "array", "items": InteractionInBatch}


@dataclass(frozen=True)
class Told:
    """One readable item of a call, with its place in it."""

    index: int
    data: InteractionData
    customer: CustomerData
    touchpoint_id: int


@blueprint.post("")
@access.api("interactions:write")
@documented(
    Operation(
        "Tell of one interaction, or of up to 1,000",
        body=ONE_OR_MANY,
        answers={
            200: ("It was known; or all of an array, in its order", {"oneOf": [InteractionAnswer, KEPT_IN_BATCH]}),
            201: ("It is kept", InteractionAnswer),
            207: (
                "Some of an array were refused, each with its problem in its place",
                {"type": "array", "items": {"oneOf": [InteractionInBatch, RefusedInBatch]}},
            ),
        },
    )
)
def create() -> Response:
    """Keep one interaction (an object) or up to 1,000 (an array), and answer with each one's id and decision.

    One: 201, or 200 when it was known. Many: 200 with an array in the same order; 207 when some were refused, each with
    its problem in its place; 422 when all were. What is refused leaves the others untouched.
    """
    now = clock.now()
    sent = body()
    items = sent if isinstance(sent, list) else [sent]
    if not 1 <= len(items) <= MOST:
        raise BadInput([{"detail": f"Send 1 to {MOST} interactions in one call; this one has {len(items)}."}])

    def work() -> tuple[int, Any]:
        told, refused = _read(items)
        if len(refused) == len(items):
            raise _all_refused(refused, many=isinstance(sent, list))
        kept = _keep(told, now=now)
        if not isinstance(sent, list):
            return (201 if kept[0]["created"] else 200), kept[0]
        answers = {item.index: answer for item, answer in zip(told, kept, strict=True)}
        answers |= {item["index"]: item for item in refused}
        return (207 if refused else 200), [{"index": index} | answers[index] for index in range(len(items))]

    return idempotency.once(work, now=now)


def _read(items: Sequence[Any]) -> tuple[list[Told], list[dict[str, Any]]]:
    """Return the readable items, and for each other one its problem document with its index."""
    read, refused = [], []
    for index, item in enumerate(items):
        try:
            read.append((index, load(InteractionSchema, item)))
        except BadInput as bad:
            refused.append({"index": index, "status": 422, "problem": bad.problem()})
    places = touchpoints.ids_by_key(loaded["touchpoint"] for _, loaded in read)
    told = []
    for index, loaded in read:
        if place := places.get(loaded["touchpoint"]):
            told.append(Told(index, _interaction(loaded), customer_of(loaded.get("customer") or {}), place))
        else:
            problem = BadInput([{"field": "touchpoint", "detail": "There is no such touchpoint."}]).problem()
            refused.append({"index": index, "status": 422, "problem": problem})
    return told, refused


def _interaction(loaded: dict[str, Any]) -> InteractionData:
    value = loaded.get("value") or {}
    return InteractionData(
        reference=loaded["reference"],
        occurred_at=loaded["occurred_at"],
        channel=loaded["channel"].lower(),
        value_minor=value.get("amount_minor"),
        currency=value.get("currency"),
        staff_name=loaded.get("staff"),
        status=loaded["status"],
        attributes=loaded["attributes"],
    )


def customer_of(loaded: dict[str, Any]) -> CustomerData:
    email, phone, language = loaded.get("email"), loaded.get("phone"), loaded.get("language")
    return CustomerData(
        external_id=loaded.get("external_id"),
        name=loaded.get("name"),
        email=contacts.written_email(email) if email else None,
        phone=contacts.written_phone(phone) if phone else None,
        language=language.replace("_", "-").split("-")[0].lower() if language else None,
        tier=loaded.get("tier"),
    )


def _keep(told: Sequence[Told], *, now: Any) -> list[dict[str, Any]]:
    people = upsert_many([item.customer for item in told], now=now)
    kept = interactions.record_many(
        [(item.data, item.touchpoint_id, person) for item, person in zip(told, people, strict=True)], now=now
    )
    new = {interaction.id for interaction, created in kept if created}
    decided = invitations.decide([interaction for interaction, _ in kept], new=new, now=now)
    return [
        _answer(interaction, created, decision) for (interaction, created), decision in zip(kept, decided, strict=True)
    ]


def _answer(interaction: Interaction, created: bool, decision: Decision) -> dict[str, Any]:
    def moment(value: Any) -> str | None:
        return value.isoformat() if value else None

    return {
        "id": interaction.public_id,
        "reference": interaction.reference,
        "created": created,
        "decision": {
            "outcome": decision.outcome,
            "rule": decision.rule,
            "send_at": moment(decision.send_at),
            "next_eligible_at": moment(decision.next_eligible_at),
        },
    }


def _all_refused(refused: list[dict[str, Any]], *, many: bool) -> BadInput:
    if many:
        problems = [{"index": item["index"], **problem} for item in refused for problem in item["problem"]["problems"]]
        return BadInput(problems)
    return BadInput(refused[0]["problem"]["problems"])
