"""Imports on pages: upload, match the columns, look, try, start; and what earlier imports brought."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response

from accounts import visibility
from accounts.views import settings
from core import access, clock, spreadsheets
from core.db import db, row_id
from core.errors import NotFound
from customers import mapping
from customers.mapping import Kind
from customers.mapping_text import written
from customers.models import Brand, ImportRefusal, ImportRun
from customers.places import key_of
from customers.tables import Unreadable
from insights import guessing, import_forms, matching, previews, uploads
from insights.import_forms import KINDS, TextForm, UploadForm
from insights.models import Upload, UploadState
from insights.uploads import BadUpload, TooLate
from surveys.models import Survey

blueprint = Blueprint("imports", __name__, url_prefix="/imports")
Answer = str | Response | tuple[str, int]
PAGE = 30
RELOADS = "3"  # seconds
STATES = {
    UploadState.CHOOSING: _l("Columns to be matched"),
    UploadState.READY: _l("Ready"),
    UploadState.TRYING: _l("Being tried"),
    UploadState.TRIED: _l("Tried"),
    UploadState.RUNNING: _l("Under way"),
    UploadState.REFUSED: _l("Refused"),
    UploadState.DONE: _l("Done"),
    UploadState.ERASED: _l("Thrown away"),
}
BESIDE = {
    "cases": _l("cases, off the desk"),
    "reopened": _l("of them open again, because the customer disputed how they ended"),
    "without their interaction": _l(
        "name an interaction that was not found: import interactions first, and say at which touchpoint"
    ),
}


@blueprint.url_value_preprocessor
def take_large_bodies(endpoint: str | None, values: Any) -> None:
    """Read more than we take, before anything looks into the form, so that a large file is refused at its field."""
    if endpoint == "imports.upload":
        request.max_content_length = (uploads.MOST_MEGABYTES + 20) * uploads.MEGABYTE


@blueprint.errorhandler(RequestEntityTooLarge)
def far_too_large(error: RequestEntityTooLarge) -> Answer:
    """Refuse at the field what was not even read."""
    if request.endpoint != "imports.upload":
        return error.get_response()
    form = _upload_form(filled=False)
    import_forms.refuse(form, {"file": uploads.too_large()})
    return _upload_page(form), 413


# Earlier imports


@blueprint.get("")
@access.needs("imports.run")
def everything() -> str:
    """Show the imports that are under way and those that are done."""
    after = request.args.get("after", type=row_id)
    query = visibility.visible_to(current_user, select(ImportRun), ImportRun.brand_id)
    if after:
        query = query.where(ImportRun.id < after)
    runs = list(db.session.scalars(query.order_by(ImportRun.id.desc()).limit(PAGE + 1)))
    waiting = [] if after else uploads.under_way(current_user)
    return render_template(
        "imports/everything.html",
        frame=settings.frame(),
        runs=runs[:PAGE],
        waiting=waiting,
        names=uploads.names_of({run.by for run in runs} | {upload.by for upload in waiting}),
        kinds=KINDS,
        states=STATES,
        next_href=url_for(".everything", after=runs[PAGE - 1].id) if len(runs) > PAGE else "",
        first_href=url_for(".everything") if after else "",
        now=clock.now(),
    )


@blueprint.get("/runs/<public_id>/refusals.csv")
@access.needs("imports.run")
def refusals(public_id: str) -> Response:
    """Give the refused rows of an import: line, column and reason."""
    run = _run(public_id)
    query = select(ImportRefusal.line, ImportRefusal.column, ImportRefusal.reason)
    rows = db.session.execute(query.where(ImportRefusal.import_id == run.id).order_by(ImportRefusal.id))
    name = f"refused-{PurePath(run.file_name).stem[:60]}"
    return spreadsheets.answer(("line", "column", "reason"), map(tuple, rows), name=name, form=spreadsheets.CSV)


@blueprint.get("/runs/<public_id>/mapping.toml")
@access.needs("imports.run")
def run_mapping(public_id: str) -> Response:
    run = _run(public_id)
    return _toml(run.mapping, run.file_name)


def _run(public_id: str) -> ImportRun:
    query = select(ImportRun).where(ImportRun.public_id == public_id)
    run = db.session.scalar(visibility.visible_to(current_user, query, ImportRun.brand_id))
    if run is None:
        raise NotFound
    return run


def _toml(table: Mapping[str, Any], file_name: str) -> Response:
    response = make_response(written(table))
    response.content_type = "application/toml; charset=utf-8"
    response.headers.set("Content-Disposition", "attachment", filename=f"{PurePath(file_name).stem[:80]}.toml")
    response.headers["Cache-Control"] = "no-store"
    return response


# A new one


@blueprint.get("/new")
@access.needs("imports.run")
def new() -> str:
    """Show the upload; `?like=` names an import whose columns are the same."""
    form = _upload_form(filled=False)
    form.like.data = request.args.get("like", "")
    return _upload_page(form)


@blueprint.post("/new")
@access.needs("imports.run")
def upload() -> Answer:
    """Keep a file and lead to its columns."""
    form = _upload_form(filled=True)
    try:
        kept = _kept(form)
    except BadUpload as refusal:
        import_forms.refuse(form, {refusal.field or "file": refusal.message})
        return _upload_page(form), 422
    db.session.commit()
    return redirect(url_for(".columns", public_id=kept.public_id))


def _kept(form: UploadForm) -> Upload:
    sent: FileStorage | None = request.files.get("file")
    if sent is None or not sent.filename:
        raise BadUpload(_("Choose the file that you want to import."), field="file")
    brand = next((each for each in _brands() if each.key == form.brand.data), None)
    if brand is None and not _may_leave_open():
        raise BadUpload(_("Choose the brand that the rows belong to."), field="brand")
    kind, like = _like(form)
    content = sent.read(uploads.MOST_MEGABYTES * uploads.MEGABYTE + 1)
    kept = uploads.keep(content, name=sent.filename, brand=brand, like=like, by=current_user, now=clock.now())
    kept.kind = kind
    return kept


def _like(form: UploadForm) -> tuple[str | None, dict[str, Any] | None]:
    """Return the kind and the mapping to begin with, from a file or an earlier import; raises BadUpload."""
    sent: FileStorage | None = request.files.get("mapping")
    if sent is not None and sent.filename:
        return None, _read_toml(sent.read(uploads.MEGABYTE))
    if form.like.data:
        run = _run(str(form.like.data))
        return run.kind, dict(run.mapping)
    return None, None


def _read_toml(content: bytes) -> dict[str, Any]:
    """Return the mapping in a TOML file, whatever kinds it is for; raises BadUpload at its field."""
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
        kind = next((kind for kind in Kind if kind in table), Kind.INTERACTIONS)
        return dict(mapping.from_table(table, kind=kind).table)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, Unreadable) as error:
        raise BadUpload(_("This mapping cannot be read: %(why)s", why=error), field="mapping") from None


def _upload_form(*, filled: bool) -> UploadForm:
    form = UploadForm() if filled else UploadForm(formdata=None)
    recent = select(ImportRun).where(ImportRun.finished_at.is_not(None)).order_by(ImportRun.id.desc()).limit(12)
    runs = db.session.scalars(visibility.visible_to(current_user, recent, ImportRun.brand_id)).all()
    form.offer(_brands(), runs, may_leave_open=_may_leave_open())
    return form


def _upload_page(form: UploadForm) -> str:
    return render_template("imports/new.html", frame=settings.frame(), form=form)


def _brands() -> list[Brand]:
    query = visibility.visible_to(current_user, select(Brand), Brand.id)
    return list(db.session.scalars(query.order_by(Brand.name, Brand.id)))


def _may_leave_open() -> bool:
    return visibility.brand_of(current_user) is None


# Its columns


@blueprint.get("/<public_id>/columns")
@access.needs("imports.run")
def columns(public_id: str) -> Answer:
    """Show which column is what: as chosen so far, else as the headers suggest."""
    upload = uploads.load(public_id, staff=current_user)
    if upload.state in (*uploads.UNDER_WAY, *uploads.OVER):
        return redirect(url_for(".show", public_id=public_id))
    kind = _kind(request.args.get("kind"), upload)
    table = upload.mapping if kind in upload.mapping else None
    typed = matching.typed_of(kind, table) if table else _guessed(upload, kind)
    if typed is None or request.args.get("as") == "text":
        table = table or matching.table_of(kind, _guessed(upload, kind), uploads.look_of(upload))[0]
        text_form = TextForm(data={"toml": written(table)})
        return _text_page(upload, kind, text_form, may_be_fields=typed is not None)
    form = _columns_form(upload, kind, typed)
    if table:
        import_forms.refuse(form, _faults(upload, table, kind))
    return _columns_page(upload, kind, form)


@blueprint.post("/<public_id>/columns")
@access.needs("imports.run")
def match(public_id: str) -> Answer:
    """Keep which column is what, and show the first rows as they would be kept."""
    upload = uploads.load(public_id, staff=current_user, for_change=True)
    kind = _kind(request.form.get("kind"), upload)
    in_text = request.form.get("as") == "text"
    form = TextForm() if in_text else _columns_form(upload, kind, None)
    table, faults = _table_in_text(kind) if in_text else matching.table_of(kind, form.data, uploads.look_of(upload))
    faults = faults or _faults(upload, table, kind, in_text=in_text)
    if faults:
        import_forms.refuse(form, faults)
        return (_text_page if in_text else _columns_page)(upload, kind, form), 422
    uploads.match(upload, table, kind)
    db.session.commit()
    return redirect(url_for(".show", public_id=public_id))


def _table_in_text(kind: Kind) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        return dict(mapping.load(request.form.get("toml", ""), kind=kind).table), {}
    except Unreadable as error:
        return {}, {"toml": str(error)}


def _faults(upload: Upload, table: Mapping[str, Any], kind: Kind, *, in_text: bool = False) -> dict[str, str]:
    """Return why a mapping does not fit the file, at the inputs to correct."""
    try:
        uploads.check(upload, table, kind)
    except Unreadable as error:
        return {name: _sentence(error) for name in (["toml"] if in_text else _inputs(kind, error, table))}
    return {}


def _inputs(kind: Kind, error: Unreadable, table: Mapping[str, Any]) -> list[str]:
    checked = None if isinstance(error, mapping.BadMapping) else mapping.from_table(table, kind=kind)
    survey = ["survey"] if kind is Kind.RESPONSES and "survey" in str(error) else []
    return matching.inputs_of(kind, error, checked) or survey or [""]


def _sentence(error: Unreadable) -> str:
    return f"{error.reason[:1].upper()}{error.reason[1:]}." if isinstance(error, mapping.BadMapping) else str(error)


def _kind(asked: str | None, upload: Upload) -> Kind:
    known = {str(kind): kind for kind in Kind}
    offered = [asked, upload.kind, *(name for name in upload.mapping if name in known)]
    chosen = next((known[name] for name in offered if name in known), None)
    return chosen or guessing.likeliest_kind(uploads.look_of(upload))


def _guessed(upload: Upload, kind: Kind) -> dict[str, Any]:
    zone = upload.brand.zone if upload.brand else db.session.scalar(select(Brand.zone).order_by(Brand.id).limit(1))
    typed = guessing.guessed(kind, uploads.look_of(upload), zone=zone or "UTC")
    if kind is Kind.RESPONSES:
        stem = key_of(PurePath(upload.file.name).stem).replace("-", "_")
        typed["survey"] = re.sub(r"^[^a-z]+|[^a-z0-9_]", "", stem)[:40] or "imported"
    return typed


def _columns_form(upload: Upload, kind: Kind, typed: Mapping[str, Any] | None) -> Any:
    surveys = list(db.session.scalars(select(Survey.key).order_by(Survey.id.desc()).limit(6)))
    return import_forms.columns_form(kind, uploads.look_of(upload), typed, surveys=surveys)


def _columns_page(upload: Upload, kind: Kind, form: Any) -> str:
    return render_template(
        "imports/columns.html",
        **_about(upload, kind),
        form=form,
        slots=matching.SLOTS[kind],
        customer=matching.CUSTOMER,
    )


def _text_page(upload: Upload, kind: Kind, form: TextForm, *, may_be_fields: bool = True) -> str:
    return render_template("imports/text.html", **_about(upload, kind), form=form, may_be_fields=may_be_fields)


def _about(upload: Upload, kind: Kind) -> dict[str, Any]:
    kinds = [
        {"href": url_for(".columns", public_id=upload.public_id, kind=each), "label": label, "current": each is kind}
        for each, label in KINDS.items()
    ]
    return {
        "frame": settings.frame(),
        "upload": upload,
        "look": uploads.look_of(upload),
        "kind": kind,
        "kinds": kinds,
        "now": clock.now(),
    }


@blueprint.get("/<public_id>/mapping.toml")
@access.needs("imports.run")
def upload_mapping(public_id: str) -> Response:
    upload = uploads.load(public_id, staff=current_user)
    if not upload.mapping:
        raise NotFound
    return _toml(upload.mapping, upload.file.name)


# The import itself


@blueprint.get("/<public_id>")
@access.needs("imports.run")
def show(public_id: str) -> Answer:
    """Show how an import stands; while it is under way the page asks again by itself."""
    upload = uploads.load(public_id, staff=current_user)
    if upload.state == UploadState.CHOOSING:
        return redirect(url_for(".columns", public_id=public_id))
    response = make_response(_show_page(upload))
    if upload.state in uploads.UNDER_WAY:
        response.headers["Refresh"] = RELOADS
    return response


def _show_page(upload: Upload) -> str:
    now = clock.now()
    is_open = upload.state in (UploadState.READY, UploadState.TRIED)
    preview, wrong = None, upload.wrong
    if is_open and not upload.sought:  # else it may show somebody who was erased a moment ago
        try:
            preview = previews.table(uploads.preview(upload, now=now))
        except Unreadable as error:  # what is here has changed since the columns were matched
            wrong = str(error)
    return render_template(
        "imports/show.html",
        frame=settings.frame(),
        upload=upload,
        kind_name=KINDS[Kind(upload.kind)] if upload.kind else _("Import"),
        state_name=STATES[UploadState(upload.state)],
        is_open=is_open,
        is_under_way=upload.state in uploads.UNDER_WAY,
        is_given_up=uploads.is_given_up(upload),
        preview=preview,
        wrong=wrong,
        told=upload.told,
        problems=list(uploads.told_problems(upload)),
        beside=[(count, BESIDE.get(what, what)) for what, count in upload.told.get("beside", {}).items() if count],
        rows=upload.look["rows"],
        can_go_on=_can_go_on(upload),
        now=now,
    )


def _can_go_on(upload: Upload) -> int | None:
    """Return the line at which an import that was stopped goes on."""
    run = upload.run
    return run.next_line if run is not None and run.finished_at is None else None


@blueprint.post("/<public_id>/try")
@access.needs("imports.run")
def try_(public_id: str) -> Response:
    """Have the whole file read without writing anything."""
    return _do(public_id, lambda upload: uploads.begin(upload, dry=True, now=clock.now()))


@blueprint.post("/<public_id>/start")
@access.needs("imports.run")
def start(public_id: str) -> Response:
    """Have the file taken in."""
    return _do(public_id, lambda upload: uploads.begin(upload, dry=False, now=clock.now()))


@blueprint.post("/<public_id>/stop")
@access.needs("imports.run")
def stop(public_id: str) -> Response:
    """End what is under way after its present batch."""
    return _do(public_id, uploads.stop)


@blueprint.post("/<public_id>/discard")
@access.needs("imports.run")
def discard(public_id: str) -> Response:
    """Forget a file; what was taken in from it stays."""
    try:
        uploads.discard(uploads.load(public_id, staff=current_user, for_change=True))
    except TooLate as refusal:
        flash(refusal.message, "error")
        return redirect(url_for(".show", public_id=public_id))
    db.session.commit()
    flash(_("The file is gone from here."))
    return redirect(url_for(".everything"))


def _do(public_id: str, verb: Any) -> Response:
    """Do one thing with an upload; one that has moved on meanwhile is only shown, so a double click does it once."""
    upload = uploads.load(public_id, staff=current_user, for_change=True)
    try:
        verb(upload)
    except TooLate as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
    else:
        db.session.commit()
    return redirect(url_for(".show", public_id=public_id))
