"""POST /api/v1/complaints: a complaint that another system took, from the shop's chat, its mailbox or its phone desk.

The caller vouches for the customer, as with interactions: nothing has to be confirmed by mail.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g
from marshmallow import Schema, ValidationError, fields, validate, validates
from sqlalchemy import select

from api import idempotency
from api.document import Operation, documented
from api.interactions import CustomerSchema, customer_of
from api.reading import Strict, Words, body, load
from core import access, clock, i18n
from core.db import db, new_public_id
from core.errors import BadInput, NotFound, Refusal
from core.tokens import hash_secret
from customers import customers
from customers.models import Brand
from feedback import complaints, happened
from feedback.actors import SYSTEM
from feedback.complaints import ComplaintData
from feedback.models import Category, Complaint

LONGEST: Final = 10_000
blueprint = Blueprint("complaints_api", __name__, url_prefix="/api/v1/complaints")


class ComplaintSchema(Strict):
    reference = Words(longest=200, allow_none=True)  # the caller's own number of the complaint
    brand = Words(longest=120, allow_none=True)
    customer = fields.Nested(CustomerSchema, allow_none=True)
    words = Words(longest=LONGEST, required=True)
    order = Words(longest=200, allow_none=True)
    happened_on = Words(longest=10, allow_none=True, validate=validate.Regexp(r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"))
    wish = fields.String(allow_none=True, validate=validate.OneOf(["replace", "refund", "explain", "other"]))
    contact = fields.String(load_default="none", validate=validate.OneOf(["phone", "email", "sms", "none"]))
    contact_time = fields.String(allow_none=True, validate=validate.OneOf(["morning", "afternoon", "evening"]))
    category = Words(longest=120, allow_none=True)
    language = fields.String(allow_none=True)

    @validates("language")
    def check_language(self, value: str | None, **_: Any) -> None:
        if value is not None and i18n.known_code(value) is None:
            raise ValidationError(f"It must be one of {', '.join(i18n.LANGUAGES)}.")


class ComplaintAnswer(Schema):
    id = fields.String(required=True)
    case = fields.String(required=True, metadata={"examples": ["AM-2417"]})
    created = fields.Boolean(required=True, metadata={"description": "False when its reference was known."})
    received_at = fields.DateTime(required=True)
    first_contact_due_at = fields.DateTime(required=True)


@blueprint.post("")
@access.api("complaints:write")
@documented(
    Operation(
        "File a complaint that another system took",
        body=ComplaintSchema,
        answers={200: ("It was known", ComplaintAnswer), 201: ("It is kept and its case open", ComplaintAnswer)},
    )
)
def create() -> Response:
    """Keep one complaint and open its case: 201, or 200 when its `reference` was known."""
    now, sent = clock.now(), body()

    def work() -> tuple[int, Any]:
        loaded = load(ComplaintSchema, sent)
        brand = _brand(loaded.get("brand"))
        _check(loaded, brand, now)
        form_key = _form_key(loaded.get("reference"), brand)
        kept = complaints.file(_data(loaded, form_key, now), brand=brand, by=SYSTEM, now=now)
        created = kept.received_at == now
        return (201 if created else 200), _answer(kept, created=created)

    return idempotency.once(work, now=now)


def _brand(key: str | None) -> Brand:
    if key is None:
        brands = db.session.scalars(select(Brand).order_by(Brand.id).limit(2)).all()
        if len(brands) == 1:
            return brands[0]
        raise BadInput([{"field": "brand", "detail": "There are several brands: say which by its key."}])
    try:
        return complaints.brand_named(key)
    except NotFound:
        raise BadInput([{"field": "brand", "detail": "There is no such brand."}]) from None


def _check(loaded: dict[str, Any], brand: Brand, now: datetime) -> None:
    """Refuse a day that cannot be and a category that nobody made, both at once."""
    problems = []
    if happened_on := loaded.get("happened_on"):
        year, month, day = [*happened_on.split("-"), "", ""][:3]
        try:
            happened.read(day, month, year, today=now.astimezone(ZoneInfo(brand.zone)).date())
        except Refusal as bad:
            problems.append({"field": "happened_on", "detail": f"{bad.message}."})
    if (key := loaded.get("category")) and not _is_offered(key):
        problems.append({"field": "category", "detail": "There is no such category."})
    if problems:
        raise BadInput(problems)


def _is_offered(key: str) -> bool:
    offered = select(Category.id).where(Category.key == key, Category.archived_at.is_(None))
    return db.session.scalar(offered) is not None


def _form_key(reference: str | None, brand: Brand) -> str:
    """Return what makes a complaint one: the caller's own number of it, for this brand; without one each is new."""
    if reference is None:
        return f"api:{new_public_id()}"
    return f"api:{g.api_key_id}:{brand.key}:{hash_secret(reference)}"


def _data(loaded: dict[str, Any], form_key: str, now: datetime) -> ComplaintData:
    customer = customers.upsert(customer_of(loaded.get("customer") or {}), now=now)
    language = i18n.known_code(loaded.get("language")) or i18n.known_code(customer.language if customer else None)
    return ComplaintData(
        words=loaded["words"],
        form_key=form_key,
        language=language or i18n.DEFAULT,
        customer=customer,
        reference=loaded.get("order"),
        happened_on=loaded.get("happened_on"),
        wish=loaded.get("wish"),
        via=loaded["contact"],
        contact_time=loaded.get("contact_time"),
        category=loaded.get("category"),
    )


def _answer(complaint: Complaint, *, created: bool) -> dict[str, Any]:
    _complaint, case = complaints.by_public_id(complaint.public_id)
    return {
        "id": complaint.public_id,
        "case": case.label,
        "created": created,
        "received_at": complaint.received_at.isoformat(),
        "first_contact_due_at": complaints.first_contact_due(case).isoformat(),
    }
