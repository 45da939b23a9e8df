"""The forms of incentives: shape and wording; the rules are in programmes, budgets and codes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, Field, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from core.errors import Refusal
from core.fields import CheckboxesField, MoneyField, sensible
from core.i18n import LANGUAGES
from customers.models import Brand
from incentives.models import Fulfilment, Programme, Trigger
from incentives.programmes import Rules

MAX_TERMS = 400
DAYS = [InputRequired(_l("Say how many days.")), NumberRange(1, 3650, _l("This is between 1 and 3650 days."))]

FULFILMENTS = {
    Fulfilment.GENERATED: _l("a voucher with a code we make"),
    Fulfilment.POOL: _l("a voucher with a code you upload"),
    Fulfilment.MANUAL: _l("a credit added by hand"),
}
TRIGGERS = {
    Trigger.ANSWERED: _l("a customer answers a survey"),
    Trigger.GOODWILL: _l("a case is in recovery"),
}


UNUSED = {
    Trigger.ANSWERED: ("customer_limit", "staff_day_limit"),
    Trigger.GOODWILL: ("cap_per_customer", "cap_days"),
}


def needed(_form: FlaskForm, field: Field) -> None:
    """Refuse an amount that was left blank."""
    if field.data is None and not field.errors:
        raise ValidationError(_("Say how much, for example 5."))


def printable(_form: FlaskForm, field: Field) -> None:
    """Refuse what no text holds, among it NUL, which the database cannot store."""
    if any(not character.isprintable() and character not in "\r\n" for character in field.data or ""):
        raise ValidationError(_("Use letters, digits and signs only."))


class ProgrammeForm(FlaskForm):
    """A programme's rules and budget. `for_programme` fills one to be changed, `for_new` an empty one."""

    name = StringField(
        _l("Name"),
        [InputRequired(_l("Give it a name.")), Length(max=80, message=_l("Use at most 80 characters.")), printable],
    )
    brand = SelectField(_l("Brand"))
    fulfilment = SelectField(
        _l("Reward"), choices=[SelectChoice(key.value, words) for key, words in FULFILMENTS.items()]
    )
    code_prefix = StringField(_l("Codes begin with"), [Length(max=12, message=_l("Use at most 12 characters."))])
    reward = MoneyField(_l("Worth"), [needed])
    budget = MoneyField(_l("Budget"), [needed])
    cap_per_customer = IntegerField(
        _l("Times for one customer"),
        [InputRequired(_l("Say how often.")), NumberRange(1, 100, _l("This is between 1 and 100."))],
    )
    cap_days = IntegerField(_l("In how many days"), DAYS)
    customer_limit = MoneyField(_l("Customer, a year"))
    staff_day_limit = MoneyField(_l("Agent, a day"))
    valid_days = IntegerField(_l("Days to use it"), DAYS)
    starts_on = DateField(_l("From"), [InputRequired(_l("Choose the first day.")), sensible])
    ends_on = DateField(
        _l("Until"), [Optional(), sensible], description=_l("The last day. Blank: until the budget is used.")
    )
    tiers = StringField(
        _l("Tiers"),
        [Length(max=200, message=_l("Use at most 200 characters.")), printable],
        description=_l("Such as gold, silver. Blank: any."),
    )
    languages = CheckboxesField(
        _l("Languages"), choices=[SelectChoice(own.code, own.name) for own in LANGUAGES.values()]
    )
    terms_en = TextAreaField(
        _l("Terms in English"),
        [
            InputRequired(_l("Say what the customer should know, for example: one order over €20.")),
            Length(max=MAX_TERMS),
            printable,
        ],
    )
    terms_de = TextAreaField(_l("Terms in German"), [Length(max=MAX_TERMS), printable])
    terms_ar = TextAreaField(_l("Terms in Arabic"), [Length(max=MAX_TERMS), printable])

    brands: Sequence[Brand] = ()
    programme: Programme | None = None
    purpose: Trigger = Trigger.ANSWERED

    @classmethod
    def for_new(cls, trigger: Trigger, brands: Sequence[Brand], *, now: datetime) -> ProgrammeForm:
        """Return a form for a new programme of one of these brands."""
        today = now.astimezone(ZoneInfo(brands[0].zone)).date() if brands else now.date()
        usual = {"cap_per_customer": 1, "cap_days": 365, "valid_days": 90, "starts_on": today}
        form = cls(data={"fulfilment": Fulfilment.GENERATED, **usual})
        form.brands = brands
        form.brand.choices = [SelectChoice(brand.key, f"{brand.name} ({brand.currency})") for brand in brands]
        form._suit(trigger)
        return form

    @classmethod
    def for_programme(cls, programme: Programme) -> ProgrammeForm:
        """Return the form of a programme as it is, or as it was posted."""
        form = cls(data=_data_of(programme))
        form.programme, form.brands = programme, [programme.brand]
        del form.brand
        form._suit(Trigger(programme.trigger))
        return form

    def _suit(self, trigger: Trigger) -> None:
        """Leave only the fields that this kind of programme has."""
        self.purpose = trigger
        for name in UNUSED[trigger]:
            del self[name]
        for field in self:
            if isinstance(field, MoneyField):
                field.currency = self.currency

    @property
    def currency(self) -> str:
        if self.programme is not None:
            return self.programme.currency
        brand = self.chosen_brand()
        return brand.currency if brand else "EUR"

    def chosen_brand(self) -> Brand | None:
        if self.programme is not None:
            return self.programme.brand
        return next((brand for brand in self.brands if brand.key == self.brand.data), next(iter(self.brands), None))

    def rules(self) -> Rules:
        """Return the rules as they were typed; call it after `validate`."""
        brand = self.chosen_brand()
        zone = ZoneInfo(brand.zone if brand else "UTC")
        terms = {code: (self[f"terms_{code}"].data or "").strip() for code in LANGUAGES}
        return Rules(
            name=" ".join(self.name.data.split()),
            fulfilment=Fulfilment(self.fulfilment.data),
            reward_minor=self.reward.data,
            code_prefix=(self.code_prefix.data or "").strip().upper() or None,
            cap_per_customer=self._given("cap_per_customer", 1),
            cap_days=self._given("cap_days", 365),
            staff_day_limit_minor=self._given("staff_day_limit", None),
            customer_limit_minor=self._given("customer_limit", None),
            conditions=self._conditions(),
            terms={code: words for code, words in terms.items() if words},
            valid_days=self.valid_days.data,
            starts_at=self._starts_at(zone),
            ends_at=_midnight(self.ends_on.data + timedelta(days=1), zone) if self.ends_on.data else None,
        )

    def _given(self, name: str, otherwise: Any) -> Any:
        return self[name].data if name in self else otherwise

    def _starts_at(self, zone: ZoneInfo) -> datetime:
        before = self.programme.starts_at if self.programme else None
        if before is not None and before.astimezone(zone).date() == self.starts_on.data:
            return before  # the day did not change, so the moment does not either
        return _midnight(self.starts_on.data, zone)

    def _conditions(self) -> dict[str, Any]:
        kept = self.programme.conditions if self.programme else {}
        if kept and _simple(kept) is None:
            return kept  # written elsewhere, and more than these fields can say
        tiers = [tier.strip() for tier in (self.tiers.data or "").split(",") if tier.strip()]
        wanted = {"tier": tiers, "language": list(self.languages.data or [])}
        parts = [{"field": field, "op": "in", "value": values} for field, values in wanted.items() if values]
        return {"all": parts} if parts else {}

    def refuse(self, refusal: Refusal) -> None:
        """Put what a rule refused at its field, or at the top of the form."""
        name = {"conditions": "tiers"}.get(refusal.field or "", refusal.field or "")
        if name in self:
            self[name].errors = [*self[name].errors, refusal.message]
        else:
            self.form_errors.append(refusal.message)


def _data_of(programme: Programme) -> dict[str, Any]:
    zone = ZoneInfo(programme.brand.zone)
    last_day = (programme.ends_at - timedelta(seconds=1)).astimezone(zone).date() if programme.ends_at else None
    asked = _simple(programme.conditions) or {}
    return {
        "name": programme.name,
        "fulfilment": programme.fulfilment,
        "code_prefix": programme.code_prefix,
        "reward": programme.reward_minor,
        "budget": programme.budget_minor,
        "cap_per_customer": programme.cap_per_customer,
        "cap_days": programme.cap_days,
        "customer_limit": programme.customer_limit_minor,
        "staff_day_limit": programme.staff_day_limit_minor,
        "valid_days": programme.valid_days,
        "starts_on": programme.starts_at.astimezone(zone).date(),
        "ends_on": last_day,
        "tiers": ", ".join(map(str, asked.get("tier", []))),
        "languages": asked.get("language", []),
        **{f"terms_{code}": programme.terms.get(code, "") for code in LANGUAGES},
    }


def _simple(tree: dict[str, Any]) -> dict[str, list[Any]] | None:
    """Return the values per field of a tree that this form can say, or None for any other."""
    parts = tree.get("all", [tree] if tree else [])
    found: dict[str, list[Any]] = {}
    for part in parts if isinstance(parts, list) else [None]:
        match part:
            case {"field": ("tier" | "language") as field, "op": "in", "value": list(values)} if field not in found:
                found[field] = values
            case _:
                return None
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)


class CodesForm(FlaskForm):
    codes = TextAreaField(_l("Codes"), description=_l("One on each line, or the first column of a CSV."))
    file = FileField(_l("Or a file"), description=_l("Plain text or CSV in UTF-8."))
