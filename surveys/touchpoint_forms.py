"""The forms of a touchpoint and of its invitation rule: shape and wording; the rules are in surveys.ruling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext as _n
from wtforms import BooleanField, Field, IntegerField, RadioField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp, ValidationError

from accounts.forms import name_field, one_line, trimmed
from core.editing import EditForm
from core.errors import Refusal
from core.fields import CheckboxesField, MoneyField
from core.i18n import LANGUAGES
from customers.models import Brand, Stage, Touchpoint
from customers.touchpoints import TouchpointData
from incentives.models import Programme
from surveys.models import InvitationRule, Survey
from surveys.ruling import RuleData

ICONS = {
    "phone": _l("Phone"),
    "mail": _l("Letter"),
    "chat": _l("Speech bubble"),
    "store": _l("Shop"),
    "box": _l("Parcel"),
    "return": _l("Way back"),
    "form": _l("Form"),
    "search": _l("Magnifier"),
    "home": _l("House"),
    "people": _l("People"),
    "gift": _l("Present"),
    "clock": _l("Clock"),
}
DELAYS = (0, 30, 60, 120, 240, 720, 1440, 2880, 4320, 7200, 10080, 20160, 43200)  # minutes
STATUSES = {
    "completed": _l("only what was finished"),
    "started": _l("only what was left half-done"),
    "": _l("both, finished and left half-done"),
}
PROFILES = {
    "detractor": _l("detractors"),
    "passive": _l("passives"),
    "promoter": _l("promoters"),
    "silent": _l("silent: asked, and no answer before the link ran out"),
}


def phrase_field(label: Any) -> StringField:
    checks = [Length(max=80, message=_l("Use at most 80 characters.")), one_line]
    return StringField(label, checks, filters=[trimmed])


class TouchpointForm(EditForm):
    name = name_field(_l("Name"), _l("Give it a name, for example Phone call."), _l("As your colleagues call it."))
    brand = SelectField(_l("Brand"))
    stage = SelectField(_l("Stage of the journey"))
    icon = RadioField(_l("Icon"), choices=[SelectChoice(key, words) for key, words in ICONS.items()])
    phrase_en = phrase_field(_l("In English"))
    phrase_de = phrase_field(_l("In German"))
    phrase_ar = phrase_field(_l("In Arabic"))

    brands: Sequence[Brand] = ()
    stages: Sequence[Stage] = ()

    def offer(self, brands: Sequence[Brand], stages: Sequence[Stage], *, touchpoint: Touchpoint | None = None) -> None:
        """Fill the choices; what the touchpoint has stays on offer."""
        self.brands = brands
        self.stages = [*stages, *([touchpoint.stage] if touchpoint and touchpoint.stage not in stages else [])]
        self.brand.choices = [SelectChoice(each.key, each.name) for each in brands]
        self.stage.choices = [SelectChoice(each.key, each.name) for each in self.stages]
        if touchpoint and touchpoint.icon not in ICONS:
            self.icon.choices = [SelectChoice(touchpoint.icon, _("As it is")), *self.icon.choices]

    @property
    def phrases(self) -> list[tuple[str, Field]]:
        return [(code, self[f"phrase_{code}"]) for code in LANGUAGES]

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """Also ask for the words in the brand's own language: every other one falls back to it or to English."""
        is_sound = bool(super().validate(extra_validators))
        brand = self.chosen_brand()
        if brand is None:
            return False
        own = self[f"phrase_{brand.language}"]
        if not own.data and not own.errors:
            own.errors = [_("Say what customers call it, for example: your call.")]
            return False
        return is_sound

    def chosen_brand(self) -> Brand | None:
        return next((each for each in self.brands if each.key == self.brand.data), None)

    def data_of_touchpoint(self) -> TouchpointData:
        """Return the touchpoint as it was typed; call it after `validate`."""
        return TouchpointData(
            name=self.name.data,
            brand=next(each for each in self.brands if each.key == self.brand.data),
            stage=next(each for each in self.stages if each.key == self.stage.data),
            icon=self.icon.data,
            phrases={code: field.data for code, field in self.phrases if field.data},
        )


class NewTouchpointForm(TouchpointForm):
    key = StringField(
        _l("Short name"),
        [
            InputRequired(_l("Give it a short name, for example call-centre.")),
            Regexp(r"[a-z0-9]+(-[a-z0-9]+)*\Z", message=_l("Use small letters a–z, digits and single hyphens.")),
            Length(max=60, message=_l("Use at most 60 characters.")),
        ],
        filters=[lambda value: value.strip() if value else value],
        description=_l("Connected systems and open links name it so. It stays as it is."),
    )


def values_of_touchpoint(touchpoint: Touchpoint) -> dict[str, Any]:
    """Return a touchpoint as its form has it, by field name."""
    return {
        "name": touchpoint.name,
        "brand": touchpoint.brand.key,
        "stage": touchpoint.stage.key,
        "icon": touchpoint.icon,
        **{f"phrase_{code}": touchpoint.phrases.get(code, "") for code in LANGUAGES},
    }


# The rule


def days_field(label: Any, low: int, high: int) -> IntegerField:
    words = _l("This is a number of days from %(low)s to %(high)s.", low=low, high=high)
    return IntegerField(label, [InputRequired(words), NumberRange(low, high, words)])


def listed_field(label: Any, hint: Any) -> StringField:
    checks = [Length(max=200, message=_l("Use at most 200 characters.")), one_line]
    return StringField(label, checks, filters=[trimmed], description=hint)


class RuleForm(EditForm):
    """A rule as a sentence and, below it, for which interactions; `currency` is the brand's."""

    survey = SelectField(_l("Survey"), coerce=str)
    programme = SelectField(_l("Reward"))
    delay_minutes = SelectField(_l("Wait"), coerce=int)
    sample_percent = IntegerField(
        _l("Share of them"),
        [
            InputRequired(_l("This is a number from 1 to 100.")),
            NumberRange(0, 100, _l("This is a number from 1 to 100.")),
        ],
    )
    quarantine_days = days_field(_l("Days of quarantine"), 0, 3650)
    needs_consent = SelectField(
        _l("Consent"),
        choices=[
            SelectChoice("", _l("everybody who did not refuse")),
            SelectChoice("yes", _l("only those who said yes")),
        ],
    )
    max_age_days = days_field(_l("Oldest interaction"), 1, 3650)
    expires_days = days_field(_l("Days the link works"), 1, 3650)
    active = BooleanField(_l("This rule invites"))
    status = SelectField(
        _l("Which interactions"), choices=[SelectChoice(key, words) for key, words in STATUSES.items()]
    )
    channels = listed_field(_l("Channels"), _l("Such as phone, chat. Blank: any."))
    tiers = listed_field(_l("Tiers"), _l("Such as gold, silver. Blank: any."))
    languages = CheckboxesField(
        _l("Languages"),
        choices=[SelectChoice(own.code, own.name) for own in LANGUAGES.values()],
        description=_l("None ticked: any."),
    )
    profiles = CheckboxesField(
        _l("Who were last"),
        choices=[SelectChoice(key, words) for key, words in PROFILES.items()],
        description=_l("None ticked: anybody, also who never answered."),
    )
    value_from = MoneyField(_l("Worth at least"), [Optional()])
    value_to = MoneyField(_l("Worth at most"), [Optional()])

    surveys: Sequence[Survey] = ()
    programmes: Sequence[Programme] = ()
    currency = "EUR"
    kept_conditions: Mapping[str, Any] | None = None  # a tree that these fields cannot say

    def offer(self, surveys: Sequence[Survey], programmes: Sequence[Programme], *, brand: Brand) -> None:
        """Fill the choices."""
        self.surveys, self.programmes, self.currency = surveys, programmes, brand.currency
        self.survey.choices = [SelectChoice(each.key, each.name) for each in surveys]
        self.programme.choices = [
            SelectChoice("", _("no reward")),
            *(SelectChoice(each.key, each.name) for each in programmes),
        ]
        now_chosen = self.current.get("delay_minutes", 0)
        self.delay_minutes.choices = [
            SelectChoice(minutes, _delay(minutes)) for minutes in sorted({*DELAYS, now_chosen})
        ]
        for field in (self.value_from, self.value_to):
            field.currency = brand.currency

    def validate_value_to(self, field: Field) -> None:
        if field.data is not None and self.value_from.data is not None and field.data < self.value_from.data:
            raise ValidationError(_("No interaction is worth that: the most is less than the least. Swap the two."))

    def data_of_rule(self) -> RuleData:
        """Return the rule as it was typed; call it after `validate`."""
        return RuleData(
            survey=next(each for each in self.surveys if each.key == self.survey.data),
            programme=next((each for each in self.programmes if each.key == self.programme.data), None),
            delay_minutes=self.delay_minutes.data,
            sample_percent=self.sample_percent.data,
            quarantine_days=self.quarantine_days.data,
            needs_consent=self.needs_consent.data == "yes",
            max_age_days=self.max_age_days.data,
            expires_days=self.expires_days.data,
            conditions=self._conditions(),
            active=self.active.data,
        )

    def _conditions(self) -> Mapping[str, Any]:
        if self.kept_conditions is not None:
            return self.kept_conditions
        parts: list[dict[str, Any]] = []
        if self.status.data:
            parts.append({"field": "status", "op": "==", "value": self.status.data})
        for field, values in (
            ("channel", _split(self.channels.data)),
            ("tier", _split(self.tiers.data)),
            ("language", self.languages.data),
            ("profile", self.profiles.data),
        ):
            if values:
                parts.append({"field": field, "op": "in", "value": list(values)})
        bounds = ((">=", self.value_from.data), ("<=", self.value_to.data))
        money = [{"field": "value_minor", "op": op, "value": minor} for op, minor in bounds if minor is not None]
        if money:
            parts += [{"field": "currency", "op": "==", "value": self.currency}, *money]
        return {"all": parts} if parts else {}

    def refuse(self, refusal: Refusal) -> None:
        """Put what the rule refused at its field, or at the top of the form."""
        names = {
            "channel": "channels",
            "tier": "tiers",
            "language": "languages",
            "profile": "profiles",
            "value_minor": "value_to",
        }
        name = names.get(refusal.field or "", refusal.field or "")
        if name in self._fields:
            self[name].errors = [*self[name].errors, refusal.message]
        else:
            self.form_errors.append(refusal.message)


NEW_RULE: Mapping[str, Any] = {
    "survey": "",
    "programme": "",
    "delay_minutes": 120,
    "sample_percent": 100,
    "quarantine_days": 30,
    "needs_consent": "",
    "max_age_days": 14,
    "expires_days": 30,
    "active": True,
    "status": "completed",
    "channels": "",
    "tiers": "",
    "languages": [],
    "profiles": [],
    "value_from": None,
    "value_to": None,
}


def values_of_rule(rule: InvitationRule, currency: str) -> dict[str, Any]:
    """Return a rule as its form has it, by field name."""
    asked = said(rule.conditions, currency) or {}
    return {
        "survey": rule.survey.key,
        "programme": rule.programme.key if rule.programme else "",
        "delay_minutes": rule.delay_minutes,
        "sample_percent": rule.sample_percent,
        "quarantine_days": rule.quarantine_days,
        "needs_consent": "yes" if rule.needs_consent else "",
        "max_age_days": rule.max_age_days,
        "expires_days": rule.expires_days,
        "active": rule.active,
        "status": (asked.get("status") or [""])[0],
        "channels": ", ".join(asked.get("channel", [])),
        "tiers": ", ".join(asked.get("tier", [])),
        "languages": asked.get("language", []),
        "profiles": asked.get("profile", []),
        "value_from": asked.get(">="),
        "value_to": asked.get("<="),
    }


def said(tree: Mapping[str, Any], currency: str) -> dict[str, Any] | None:
    """Return what a tree asks, by field (money by its op), if the form can say it; else None."""
    parts = tree.get("all", [tree] if tree else [])
    found: dict[str, Any] = {}
    for part in parts if isinstance(parts, list) else [None]:
        match part:
            case {"field": "value_minor", "op": (">=" | "<=") as op, "value": int(minor)} if op not in found:
                found[op] = minor
            case {"field": "currency", "op": "==", "value": code} if code == currency:
                found["currency"] = code
            case {"field": "status", "op": "==", "value": str(value)} if value in STATUSES:
                found["status"] = [value]
            case {"field": ("channel" | "tier" | "language" | "profile") as field, "op": ("==" | "in"), "value": value}:
                values = value if isinstance(value, list) else [value]
                if field in found or not _is_on_offer(field, values):
                    return None
                found[field] = values
            case _:
                return None
    money = {">=", "<="} & found.keys()
    return found if bool(money) == ("currency" in found) else None


def _is_on_offer(field: str, values: list[Any]) -> bool:
    offered = {"language": LANGUAGES, "profile": PROFILES}.get(field)
    return all(isinstance(each, str) and (offered is None or each in offered) and "," not in each for each in values)


def _split(text: str | None) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))


def _delay(minutes: int) -> str:
    if not minutes:
        return _("no time")
    if minutes % 1440 == 0:
        return _n("%(num)s day", "%(num)s days", minutes // 1440)
    if minutes % 60 == 0:
        return _n("%(num)s hour", "%(num)s hours", minutes // 60)
    return _n("%(num)s minute", "%(num)s minutes", minutes)
