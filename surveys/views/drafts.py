"""/surveys/<key>/draft: the draft of a survey, edited question by question in plain forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from accounts import history
from core import access, clock, editing, i18n
from core.db import db
from surveys import changes, definition, drafting, library, versions
from surveys.definition import BadDefinition, Definition
from surveys.drafting import Data
from surveys.kinds import Scale
from surveys.models import Survey, SurveyVersion
from surveys.views import loading
from surveys.views.lines import lines_of

blueprint = Blueprint("survey_drafts", __name__)


@dataclass(frozen=True)
class Difference:
    label: str
    language: str
    saved: str
    typed: str


@dataclass(frozen=True)
class Desk:
    """A survey with what its draft stands upon: the draft's definition, or the published one's until it is saved."""

    survey: Survey
    draft: SurveyVersion | None
    current: SurveyVersion | None
    data: Data

    @property
    def stamp(self) -> str:
        return editing.mark_of(self.data)

    @property
    def before(self) -> Definition | None:
        return versions.definition_of(self.current.id) if self.current else None


@dataclass(frozen=True)
class Shown:
    """The form of one question: what stands in it, what is wrong, and what somebody else saved meanwhile."""

    desk: Desk
    data: Data
    key: str
    errors: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Sequence[str] = ()  # what is wrong and has no field here
    theirs: Sequence[Difference] | None = None

    @property
    def question(self) -> Data:
        return drafting.question_of(self.data, self.key)

    def text(self, path: str, language: str) -> str:
        return drafting.text_at(self.question, path, language)


@blueprint.get("/surveys/<key>/draft")
@access.needs("surveys.edit")
def edit(key: str) -> Response | str:
    """Show the form of one question. Looking makes no draft: the first saving does."""
    desk = _desk(loading.survey_of(key))
    wanted = request.args.get("question") or desk.data["questions"][0]["key"]
    drafting.question_of(desk.data, wanted)
    return _page(Shown(desk, desk.data, wanted))


@blueprint.post("/surveys/<key>/draft")
@access.needs("surveys.edit")
def save(key: str) -> Response | str:
    """Save what was typed of one question, and do what the button says beside it."""
    desk = _desk(loading.survey_of(key, to_change=True))
    asked = request.form.get("question", "")
    typed = drafting.applied(desk.data, asked, request.form)
    if request.form.get("stamp") != desk.stamp:
        return _conflict(desk, typed, asked)
    changed = typed
    try:
        definition.parse(typed)
        changed, then = _acted(typed, asked)
        versions.draft(desk.survey, changed, by=f"staff:{current_user.id}", now=clock.now())
    except BadDefinition as refused:
        db.session.rollback()
        return _page(_refused(desk, typed, changed, asked, refused), 422)
    db.session.commit()
    flash(_("Saved."), "success")
    return redirect(url_for("survey_drafts.edit", key=key, question=then), 303)


@blueprint.post("/surveys/<key>/draft/discard")
@access.needs("surveys.edit")
def discard(key: str) -> Response:
    """Throw the draft away; what is published stays."""
    survey = loading.survey_of(key, to_change=True)
    versions.discard(survey, by=f"staff:{current_user.id}", now=clock.now())
    db.session.commit()
    flash(_("The draft is gone. The published version stays as it is."), "success")
    return redirect(url_for("survey_books.show", key=key), 303)


def _desk(survey: Survey) -> Desk:
    known = loading.versions_of(survey)
    draft = next((each for each in known if each.published_at is None), None)
    current = next((each for each in known if each.published_at is not None), None)
    stands_upon = draft or current
    if stands_upon is None:
        raise versions.NotPublished
    return Desk(survey, draft, current, dict(stands_upon.definition))


def _acted(data: Data, key: str) -> tuple[Data, str]:
    """Return the definition after the button that was pressed, and the question to show next."""
    act = request.form.get("act", "save")
    if act in ("up", "down"):
        return drafting.moved(data, key, by=1 if act == "down" else -1), key
    if act == "remove":
        rest = drafting.without(data, key)
        return rest, rest["questions"][0]["key"] if rest["questions"] else key
    if act == "add":
        return drafting.with_ready(data, request.form.get("ready", ""))
    keys = [each["key"] for each in data["questions"]]
    following = keys.index(key) + (act == "next")
    return data, keys[min(following, len(keys) - 1)]


def _refused(desk: Desk, typed: Data, changed: Data, key: str, refused: BadDefinition) -> Shown:
    """Return the form with each fault at its field; those of `changed` that have none here are told in words."""
    errors: dict[str, str] = {}
    elsewhere = []
    for fault in refused.faults:
        name = drafting.field_of(fault, typed, key) if changed is typed else ""
        if name:
            errors.setdefault(name, _("This %(fault)s.", fault=fault.words))
        else:
            elsewhere.append(_("%(place)s %(fault)s.", place=_place(fault.where, changed), fault=fault.words))
    return Shown(desk, typed, key, errors, elsewhere)


def _place(where: str, data: Data) -> str:
    """Return a fault's place as its reader knows it: the question's words instead of its number."""
    for number, each in enumerate(data["questions"]):
        if where.startswith(f"questions[{number}]"):
            return f"“{changes.short(each['text'], data['languages'][0])}”"
    return {"questions": _("The survey"), "opens_case_at": _("The limit for cases")}.get(where, where)


def _conflict(desk: Desk, typed: Data, key: str) -> Response | str:
    """Show what somebody else saved beside what was typed; saving once more is then a decision."""
    db.session.rollback()
    question, theirs = drafting.question_of(typed, key), drafting.question_of(desk.data, key)
    pairs = [(slot, code) for slot in drafting.slots(question) for code in desk.data["languages"]]
    texts = [(drafting.text_at(theirs, s.path, code), drafting.text_at(question, s.path, code)) for s, code in pairs]
    found = [Difference(slot.label, code, *both) for (slot, code), both in zip(pairs, texts, strict=True)]
    return _page(Shown(desk, typed, key, theirs=[each for each in found if each.saved != each.typed]), 409)


def _page(shown: Shown, status: int = 200) -> Response:
    desk, key = shown.desk, shown.key
    saved = definition.parse(desk.data)
    asked = saved.question(key)
    languages = [i18n.LANGUAGES[code] for code in desk.data["languages"]]
    page = render_template(
        "surveys/draft.html",
        shown=shown,
        survey=desk.survey,
        question=shown.question,
        kind=asked,
        main=saved.main,
        is_scored=isinstance(asked, Scale),
        threshold=_threshold(shown, saved),
        slots=drafting.slots(shown.question),
        lines=lines_of(saved, saved.languages[0]),
        languages=languages,
        preview_in=saved.language(request.args.get("language")),
        to_check=drafting.to_check(desk.before, asked, saved.languages) if asked else set(),
        bands=_bands(saved),
        changes=changes.between(desk.before, saved) if desk.draft else [],
        breaks=bool(desk.before and asked and desk.before.question(key)),
        ready=_ready(desk.data),
        saved_by=history.name_of(desk.draft.saved_by) if desk.draft and desk.draft.saved_by else "",
        now=clock.now(),
    )
    return loading.with_frame(page, status)


def _threshold(shown: Shown, saved: Definition) -> object:
    is_main = saved.main is not None and saved.main.key == shown.key
    return (shown.data if is_main else shown.question).get("opens_case_at")


def _bands(saved: Definition) -> list[tuple[str, str]]:
    """Return each band of the main question with its scores: ("low", "0 to 6")."""
    if saved.main is None:
        return []
    found: dict[str, list[int]] = {}
    for value in saved.main.values:
        found.setdefault(saved.main.band(value), []).append(value)
    return [(band, _span(scores)) for band, scores in found.items()]


def _span(scores: list[int]) -> str:
    if len(scores) == 1:
        return str(scores[0])
    return _("%(low)s to %(high)s", low=scores[0], high=scores[-1])


def _ready(data: Data) -> list[tuple[str, str]]:
    """Return the ready questions with their words, for the choice of what to add."""
    source = data["languages"][0]
    names = library.ready_names()
    texts = {name: library.ready_question(name, languages=(source,))["text"] for name in names}
    return [(name, changes.short(texts[name], source)) for name in names]
