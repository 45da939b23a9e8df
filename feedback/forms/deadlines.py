"""The form of deadlines: for which cases, as a sentence, and how much working time. The rules: feedback.deadlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import IntegerField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, StopValidation

from accounts.forms import name_field, one_line, trimmed
from accounts.models import Team
from core import formats
from core.editing import EditForm
from core.errors import Refusal
from core.i18n import LANGUAGES
from customers.models import Brand, Touchpoint
from customers.scales import Metric
from feedback.deadlines import PolicyData, said
from feedback.models import Origin, Priority, SlaPolicy

MOST_HOURS = 2000
ORIGINS = {
    "": _l("any case"),
    Origin.ANSWER: _l("an unhappy answer"),
    Origin.COMPLAINT: _l("a complaint"),
    Origin.BROKEN_PROMISE: _l("a broken promise"),
    Origin.SILENT: _l("a detractor gone silent"),
    Origin.HAND: _l("a case opened by hand"),
}
PRIORITIES = {Priority.URGENT: _l("urgent"), Priority.HIGH: _l("high"), Priority.NORMAL: _l("normal")}
METRICS = {"": _l("of any question"), Metric.NPS: _l("of NPS"), Metric.CSAT: _l("of CSAT"), Metric.CES: _l("of CES")}
PICKING = ("brand", "origin", "tiers", "score", "metric", "touchpoint", "language")


class HoursField(StringField):
    """Working hours as 4, 1.5 or 1,5; `data` is minutes, or None."""

    data: Any
    typed = ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.typed, self.data = (valuelist[0].strip() if valuelist else ""), None

    def pre_validate(self, form: Any) -> None:
        try:
            minutes = round(float(self.typed.replace(",", ".")) * 60) if len(self.typed) <= 10 else 0
        except (ValueError, OverflowError):
            minutes = 0
        if not 0 < minutes <= MOST_HOURS * 60:
            raise StopValidation(_("This is a number of hours up to %(most)s, for example 4 or 1.5.", most=MOST_HOURS))
        self.data = minutes

    def tell(self, minutes: Any) -> str:
        return f"{minutes / 60:g}"

    def _value(self) -> str:
        if self.raw_data:
            return self.typed
        return self.tell(self.data) if self.data else ""


class DeadlinesForm(EditForm):
    name = name_field(_l("Name"), _l("Give it a name, for example Gold customers."))
    brand = SelectField(_l("Brand"))
    origin = SelectField(_l("Kind of case"), choices=[SelectChoice(key, words) for key, words in ORIGINS.items()])
    tiers = StringField(
        _l("Tiers"), [Length(max=200, message=_l("Use at most 200 characters.")), one_line], filters=[trimmed]
    )
    score = SelectField(_l("Score at most"))
    metric = SelectField(_l("Question"), choices=[SelectChoice(key, words) for key, words in METRICS.items()])
    touchpoint = SelectField(_l("Touchpoint"))
    language = SelectField(_l("Language"))
    first_contact = HoursField(_l("First contact"))
    next_response = HoursField(_l("Next response"))
    resolution = HoursField(_l("Put right"))
    priority = SelectField(_l("Priority"), choices=[SelectChoice(key, words) for key, words in PRIORITIES.items()])
    team = SelectField(_l("Team"))
    outcome_after_days = IntegerField(
        _l("Asked again"),
        [
            InputRequired(_l("This is a number of days from 0 to 90.")),
            NumberRange(0, 90, _l("This is a number of days from 0 to 90.")),
        ],
    )

    brands: Sequence[Brand] = ()
    teams: Sequence[Team] = ()
    kept_conditions: Mapping[str, Any] | None = None  # a tree that the sentence cannot say
    is_last = False

    def offer(self, brands: Sequence[Brand], teams: Sequence[Team], touchpoints: Sequence[Touchpoint]) -> None:
        """Fill the choices; what is chosen now stays on offer."""
        self.brands, self.teams = brands, teams
        self.brand.choices = [SelectChoice("", _("any brand")), *(SelectChoice(each.key, each.name) for each in brands)]
        self.team.choices = [
            SelectChoice("", _("everybody")),
            *(SelectChoice(each.public_id, each.name) for each in teams),
        ]
        self.score.choices = [
            SelectChoice("", _("any")),
            *(SelectChoice(str(score), str(score)) for score in range(11)),
        ]
        places = {each.key: each.name for each in touchpoints}
        spoken = {own.code: own.name for own in LANGUAGES.values()}
        for field, words, known in (
            (self.touchpoint, _("any touchpoint"), places),
            (self.language, _("any language"), spoken),
        ):
            now_chosen = self.current.get(field.short_name) or ""
            offered = known if now_chosen in (*known, "") else {**known, now_chosen: now_chosen}
            field.choices = [SelectChoice("", words), *(SelectChoice(key, name) for key, name in offered.items())]

    def only_times(self) -> None:
        """Take the sentence of conditions away: the last deadlines have none."""
        self.is_last = True
        for name in PICKING:
            del self[name]

    def data_of_policy(self) -> PolicyData:
        """Return the deadlines as they were typed; call it after `validate`."""
        return PolicyData(
            name=self.name.data,
            brand=None if self.is_last else next((each for each in self.brands if each.key == self.brand.data), None),
            conditions={} if self.is_last else self._conditions(),
            first_contact_minutes=self.first_contact.data,
            next_response_minutes=self.next_response.data,
            resolution_minutes=self.resolution.data,
            priority=self.priority.data,
            team=next((each for each in self.teams if each.public_id == self.team.data), None),
            outcome_after_days=self.outcome_after_days.data,
        )

    def _conditions(self) -> Mapping[str, Any]:
        if self.kept_conditions is not None:
            return self.kept_conditions
        tiers = list(dict.fromkeys(part.strip() for part in (self.tiers.data or "").split(",") if part.strip()))
        wanted = (
            ("origin", "==", self.origin.data),
            ("tier", "in", tiers),
            ("score", "<=", int(self.score.data) if self.score.data else None),
            ("metric", "==", self.metric.data if self.score.data else ""),
            ("touchpoint", "==", self.touchpoint.data),
            ("language", "==", self.language.data),
        )
        parts = [
            {"field": field, "op": op, "value": value} for field, op, value in wanted if value not in ("", None, [])
        ]
        return {"all": parts} if parts else {}

    def refuse(self, refusal: Refusal) -> None:
        """Put what a rule refused at its field, or at the top of the form."""
        if refusal.field in self._fields:
            self[refusal.field].errors = [*self[refusal.field].errors, refusal.message]
        else:
            self.form_errors.append(refusal.message)


NEW: Mapping[str, Any] = {
    "name": "",
    "brand": "",
    "origin": "",
    "tiers": "",
    "score": "",
    "metric": "",
    "touchpoint": "",
    "language": "",
    "first_contact": 4 * 60,
    "next_response": 8 * 60,
    "resolution": 40 * 60,
    "priority": Priority.NORMAL.value,
    "team": "",
    "outcome_after_days": 7,
}


def values_of(policy: SlaPolicy | PolicyData, brands: Sequence[Brand], teams: Sequence[Team]) -> dict[str, Any]:
    """Return deadlines as their form has them, by field name."""
    asked = said(policy.conditions) or {}
    brand_id = policy.brand_id if isinstance(policy, SlaPolicy) else None
    team_id = policy.team_id if isinstance(policy, SlaPolicy) else None
    return {
        "name": policy.name,
        "brand": next((each.key for each in brands if each.id == brand_id), ""),
        "origin": asked.get("origin", ""),
        "tiers": ", ".join(asked.get("tier", [])),
        "score": str(asked["score"]) if "score" in asked else "",
        "metric": asked.get("metric", ""),
        "touchpoint": asked.get("touchpoint", ""),
        "language": asked.get("language", ""),
        "first_contact": policy.first_contact_minutes,
        "next_response": policy.next_response_minutes,
        "resolution": policy.resolution_minutes,
        "priority": str(policy.priority),
        "team": next((each.public_id for each in teams if each.id == team_id), ""),
        "outcome_after_days": policy.outcome_after_days,
    }


def hours_words(minutes: int) -> str:
    """Return working time as "4 h" or "1 h 30", for lists."""
    hours, rest = divmod(minutes, 60)
    if not hours:
        return _("%(minutes)s min", minutes=formats.digits(rest))
    return (
        _("%(hours)s h", hours=formats.digits(hours))
        if not rest
        else _("%(hours)s h %(minutes)s", hours=hours, minutes=rest)
    )
