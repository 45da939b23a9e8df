"""DELETE /api/v1/customers/<external_id>: the shop was asked to forget somebody, and so are we."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g
from marshmallow import Schema, fields
from sqlalchemy import select

from api import idempotency
from api.document import Operation, documented
from core import access, clock
from core.db import db
from core.errors import NotFound
from customers import customers, erasure
from customers.models import Customer

blueprint = Blueprint("api_customers", __name__, url_prefix="/api/v1/customers")


class Erased(Schema):
    id = fields.String(required=True)
    erased_at = fields.String(required=True)


@blueprint.delete("/<path:external_id>")
@access.api("customers:erase")
@documented(
    Operation(
        "Erase a customer",
        places={"external_id": []},
        is_repeatable=True,
        answers={200: ("They are erased, with every record merged into theirs", Erased)},
    )
)
def erase(external_id: str) -> Response:
    """Erase the customer with this id of the shop's, and every record merged into theirs.

    200 with the record's id and when it was erased; 404 where nobody is known by this id, which is so once it was
    erased: a call that may be repeated carries an Idempotency-Key.
    """
    now = clock.now()

    def work() -> tuple[int, Any]:
        found = db.session.scalar(select(Customer).where(Customer.external_id == external_id))
        if found is None:
            raise NotFound("Nobody is known by this id. It may have been erased already.")
        erased = erasure.erase(customers.remaining(found), by=f"api_key:{g.api_key_id}", now=now)
        return 200, {"id": erased.public_id, "erased_at": erased.erased_at.isoformat() if erased.erased_at else None}

    return idempotency.once(work, now=now)
