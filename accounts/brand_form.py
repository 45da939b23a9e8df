"""The form of a brand: shape and wording; the rules are in customers.brands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from babel.numbers import get_currency_name
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, Field, SelectField, StringField, TelField, URLField
from wtforms.fields import SelectChoice
from wtforms.validators import Email, InputRequired, Length, Optional, Regexp, ValidationError

from accounts.forms import name_field, one_line, trimmed, zones
from core import web_address
from core.editing import EditForm
from core.fields import MoneyField
from core.i18n import LANGUAGES
from core.money import in_use
from customers import brands
from customers.brands import COLOUR, BrandData
from customers.models import Brand, Calendar

MOST_COST = 10**9  # minor units of one contact
SHORT = [Length(max=80, message=_l("Use at most 80 characters.")), one_line]
ADDRESS = [
    Length(max=254, message=_l("This address is too long.")),
    Email(message=_l("An address looks like care@shop.example.")),
    one_line,
]


def is_colour(_form: FlaskForm, field: Field) -> None:
    if not COLOUR.fullmatch(field.data or ""):
        raise ValidationError(_("Write one colour, as #115e79 or as oklch(.42 .085 160)."))


def is_web_address(_form: FlaskForm, field: Field) -> None:
    """Refuse everything but a page on the web: customers follow this link."""
    fits = web_address.leads_somewhere(web_address.parts_of(field.data or ""))
    if not fits or any(character.isspace() for character in field.data or ""):
        raise ValidationError(_("An address of a page begins with https://, for example https://shop.example/privacy."))


def not_below_zero(_form: FlaskForm, field: Field) -> None:
    if field.data is not None and not 0 <= field.data <= MOST_COST:
        raise ValidationError(_("This is an amount like 4.50, or nothing where you don’t know it."))


class BrandForm(EditForm):
    """A brand as it may be changed; `NewBrandForm` also has what is fixed from then on."""

    name = name_field(_l("Name"), _l("Enter the name, as customers know it."))
    colour = StringField(
        _l("Colour"),
        [InputRequired(_l("Choose a colour, for example #115e79.")), is_colour],
        filters=[trimmed],
        description=_l(
            "As #115e79 or oklch(.42 .085 160). Where it would be hard to read, pages make it darker or lighter."
        ),
    )
    sender_name = name_field(_l("Sender"), _l("Say who the mails come from."), _l("The name that mails come from."))
    sender_address = EmailField(
        _l("Sender’s address"),
        [InputRequired(_l("Enter the address that mails come from.")), *ADDRESS],
        filters=[trimmed],
        description=_l("Your mail provider must allow it."),
    )
    reply_address = EmailField(
        _l("Replies go to"),
        [Optional(), *ADDRESS],
        filters=[trimmed],
        description=_l("Blank: to the sender’s address."),
    )
    phone = TelField(
        _l("Phone"),
        [Optional(), Regexp(r"[+0-9 ()/.-]{3,30}\Z", message=_l("A number has digits, for example 0800 555 0142."))],
        filters=[trimmed],
        description=_l("Shown on every page for customers: the way to a person."),
    )
    phone_hours = StringField(
        _l("Answered"),
        [Optional(), *SHORT],
        filters=[trimmed],
        description=_l("Stands beside the number in every language, so best in figures: 08:00–20:00."),
    )
    currency = SelectField(_l("Currency"), description=_l("For new programmes. Those that run keep theirs."))
    contact_cost = MoneyField(
        _l("Cost of one contact"),
        [not_below_zero],
        description=_l(
            "What a call or a reply costs you, on average: a customer’s record then tells what serving them costs."
        ),
    )
    language = SelectField(
        _l("Language"),
        choices=[SelectChoice(own.code, own.name) for own in LANGUAGES.values()],
        description=_l("For customers whose own we don’t know or don’t speak."),
    )
    calendar = SelectField(_l("Calendar"), description=_l("Deadlines count its hours."))
    main_survey = SelectField(
        _l("Main survey"),
        description=_l("After a complaint is put right, its first question asks whether the customer is back."),
    )
    privacy_url = URLField(
        _l("Privacy page"),
        [Optional(), Length(max=300, message=_l("Use at most 300 characters.")), is_web_address],
        filters=[trimmed],
        description=_l("Linked at the foot of every page for customers."),
    )

    calendars: Sequence[Calendar] = ()

    def offer(self, calendars: Sequence[Calendar], *, brand: Brand | None = None) -> None:
        """Fill the choices; what the brand has stays on offer."""
        self.calendars = calendars
        self.calendar.choices = [SelectChoice(each.public_id, each.name) for each in calendars]
        self.currency.choices = _currencies(brand)
        if brand is not None:
            self.contact_cost.currency = brand.currency
        surveys = dict(brands.main_surveys(brand))
        kept = brand.main_survey_key if brand else None
        offered = {"": _("None yet"), **({kept: kept} if kept else {}), **surveys}
        self.main_survey.choices = [SelectChoice(key, name) for key, name in offered.items()]

    def data_of_brand(self) -> BrandData:
        """Return the brand as it was typed; call it after `validate`."""
        return BrandData(
            name=self.name.data,
            colour=self.colour.data.lower(),
            sender_name=self.sender_name.data,
            sender_address=self.sender_address.data,
            reply_address=self.reply_address.data or None,
            phone=self.phone.data or None,
            phone_hours=self.phone_hours.data or None,
            currency=self.currency.data,
            language=self.language.data,
            calendar=next(each for each in self.calendars if each.public_id == self.calendar.data),
            main_survey_key=self.main_survey.data or None,
            privacy_url=self.privacy_url.data or None,
            contact_cost_minor=self.contact_cost.data,
        )


class NewBrandForm(BrandForm):
    key = StringField(
        _l("Short name"),
        [
            InputRequired(_l("Give it a short name, for example northwind.")),
            Regexp(r"[a-z0-9]+(-[a-z0-9]+)*\Z", message=_l("Use small letters a–z, digits and single hyphens.")),
            Length(max=40, message=_l("Use at most 40 characters.")),
        ],
        filters=[lambda value: value.strip() if value else value],
        description=_l("Stands in addresses and in what connected systems send. It stays as it is."),
    )
    zone = SelectField(_l("Time zone"), description=_l("Its days are counted in this zone. It stays as it is."))

    def offer(self, calendars: Sequence[Calendar], *, brand: Brand | None = None) -> None:
        super().offer(calendars, brand=brand)
        self.zone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in zones()]


def values_of(brand: Brand) -> dict[str, Any]:
    """Return a brand as its form has it, by field name."""
    plain = (
        *("name", "colour", "sender_name", "sender_address", "reply_address"),
        *("phone", "phone_hours", "currency", "language", "privacy_url"),
    )
    values = {name: getattr(brand, name) for name in plain}
    values["contact_cost"] = brand.contact_cost_minor
    return values | {"calendar": brand.calendar.public_id, "main_survey": brand.main_survey_key or ""}


def _currencies(brand: Brand | None) -> list[SelectChoice]:
    locale, kept = get_locale() or "en", {brand.currency} if brand else set()
    codes = sorted({*in_use(), *kept})
    return [SelectChoice(code, f"{code} · {get_currency_name(code, locale=locale)}") for code in codes]
