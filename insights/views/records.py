"""What is done to a whole record: handed out, erased for good, or merged with another one of the same customer."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from core import access, clock, events
from core.db import db
from core.errors import Conflict, Forbidden, NotFound
from customers import erasure, merging
from customers.models import Customer
from insights import comparing, finding, handing_out, record, serving
from insights.record_forms import EraseForm
from surveys import silence

blueprint = Blueprint("records", __name__, url_prefix="/customers")
FOUND = 20
Answer = str | Response | tuple[str, int]


# Erasing


@blueprint.get("/<public_id>/erase")
@access.needs("customers.erase")
def ask_to_erase(public_id: str) -> Answer:
    """Say what goes and what stays, and ask for the customer's number or name."""
    customer = _whole(public_id)
    if customer.erased_at is not None:
        return _to_record(customer)
    return _erase_page(customer, EraseForm())


@blueprint.post("/<public_id>/erase")
@access.needs("customers.erase")
def erase(public_id: str) -> Answer:
    """Erase the record; one that was erased meanwhile is simply shown."""
    customer = _whole(public_id)
    if customer.erased_at is not None:
        return _to_record(customer)
    form = EraseForm()
    if not form.validate():
        return _erase_page(customer, form), 422
    if not erasure.names(customer, form.typed.data):
        form.typed.errors = [_("This is neither the number nor the name of this customer.")]
        return _erase_page(customer, form), 422
    erased = erasure.erase(customer, by=events.staff_actor(current_user.id), now=clock.now())
    db.session.commit()
    flash(_("Erased. What is left names nobody."))
    return _to_record(erased)


def _erase_page(customer: Customer, form: EraseForm) -> str:
    return render_template(
        "insights/erase.html",
        customer=customer,
        form=form,
        totals=record.totals(customer),
        given=[cost for cost in serving.cost_to_serve(customer).costs if cost.given_minor],
        live=[case for case in record.cases(customer) if case.is_open],
        is_address_shared=erasure.has_shared_address(customer),
    )


# Handing out


@blueprint.post("/<public_id>/data")
@access.needs("customers.hand_out")
def hand_out(public_id: str) -> Response:
    """Give all that is kept about a customer as one file, and note who took it."""
    customer, now = _whole(public_id), clock.now()
    handing_out.record(customer, by=events.staff_actor(current_user.id), now=now)
    # Whole before it leaves, so that a fault is an error page and not half a file.
    content = "".join(handing_out.pieces(customer, now=now)).encode("utf-8", "surrogatepass")
    db.session.commit()
    response = Response(content, content_type="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=f"customer-{customer.public_id}.json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


# Merging


@blueprint.get("/<public_id>/merge")
@access.needs("customers.merge")
def find_other(public_id: str) -> Answer:
    """Search for the other record of the same customer."""
    customer = _whole(public_id)
    words = finding.words_of(request.args.get("q"))
    query = record.visible(current_user).where(Customer.erased_at.is_(None), Customer.id != customer.id)
    query = query.where(record.matching(words) if words else comparing.alike(customer))
    found = db.session.scalars(query.order_by(Customer.id.desc()).limit(FOUND)).all()
    silent = silence.silent_among([each.id for each in found], now=clock.now())
    return render_template("insights/merge_find.html", customer=customer, words=words, found=found, silent=silent)


@blueprint.get("/<public_id>/merge/<other>")
@access.needs("customers.merge")
def compare(public_id: str, other: str) -> Answer:
    """Show both records side by side, and what becomes of them."""
    kept, gone = _whole(public_id), _whole(other)
    if kept.id == gone.id:
        return _to_record(kept)
    return _compare_page(kept, gone)


@blueprint.post("/<public_id>/merge/<other>")
@access.needs("customers.merge")
def merge(public_id: str, other: str) -> Answer:
    """Merge the other record into this one."""
    kept, gone = _exactly(public_id), _exactly(other)
    try:
        merging.merge(kept, gone, by=events.staff_actor(current_user.id), now=clock.now())
    except Conflict as refusal:
        db.session.rollback()
        if isinstance(refusal, merging.SameCustomer):
            raise
        return _compare_page(kept, gone, problem=refusal.message), refusal.status
    db.session.commit()
    flash(_("Merged. Both are one record now."))
    return _to_record(kept)


def _compare_page(kept: Customer, gone: Customer, *, problem: str = "") -> str:
    rows = comparing.rows(kept, gone)
    return render_template("insights/merge.html", kept=kept, gone=gone, rows=rows, problem=problem)


def _whole(public_id: str) -> Customer:
    """Return a record all of which this person sees, following a merge; raises NotFound, Forbidden."""
    return _checked(record.load(public_id, staff=current_user))


def _exactly(public_id: str) -> Customer:
    """Return the very record, merged or not: who decided on two records decided on these."""
    record.load(public_id, staff=current_user)
    found = db.session.scalar(select(Customer).where(Customer.public_id == public_id))
    if found is None:
        raise NotFound
    return _checked(found)


def _checked(customer: Customer) -> Customer:
    if not record.is_all_seen(customer, current_user):
        raise Forbidden(_("Part of this record is with another brand. Somebody who sees every brand can do this."))
    return customer


def _to_record(customer: Customer) -> Response:
    return redirect(url_for("customers.show", public_id=customer.public_id))
