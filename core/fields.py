"""Form fields as pages show them: what ties an input to its error and hint; fields of tick boxes and of money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask
from flask_babel import get_locale
from flask_babel import gettext as _
from wtforms import Field, Form, SelectMultipleField, StringField
from wtforms.validators import StopValidation, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from core import formats
from core.money import BadAmount, UnknownCurrency, parse_amount

GROUPS = ("RadioField", "SelectMultipleField", "CheckboxesField")


class CheckboxesField(SelectMultipleField):
    """Several of a few choices, as tick boxes."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class MoneyField(StringField):
    """An amount as the reader writes it, in the form's currency; `data` is minor units or None; typing is kept.

    The form has a `currency`, a code or a field of codes; `currency` of the field is the one in which it is shown.
    """

    data: Any

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        self.typed = valuelist[0].strip() if valuelist else ""
        self.data = None

    def pre_validate(self, form: Any) -> None:
        if not self.typed:
            return
        try:
            self.data = parse_amount(self.typed, _currency_of(form), get_locale() or "en").amount_minor
        except BadAmount as bad:
            raise StopValidation(str(bad)) from bad
        except UnknownCurrency:  # its own field says so
            return

    def _value(self) -> str:
        if self.raw_data:
            return self.typed
        return formats.money(self.data, self.currency) if self.data is not None else ""

    typed = ""
    currency = "EUR"

    def tell(self, amount_minor: int) -> str:
        return formats.money(amount_minor, self.currency)


def _currency_of(form: Any) -> str:
    return str(form.currency.data if isinstance(form.currency, Field) else form.currency)


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(described=described, first_input=first_input, problems_of=problems_of)


def described(field: Field, hint: object, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return `attributes` and what ties the input (or fieldset) to its error `<id>-e` and its hint `<id>-h`."""
    ids = [f"{field.id}-e"] * bool(field.errors) + [f"{field.id}-h"] * bool(hint)
    tied: dict[str, Any] = {"aria-describedby": " ".join(ids)} if ids else {}
    if field.errors and field.type not in GROUPS:
        tied["aria-invalid"] = "true"
    return attributes | tied


def first_input(field: Field) -> str:
    """Return the id that a link to this field leads to: its input, or the first of its choices."""
    return f"{field.id}-0" if field.type in GROUPS else str(field.id)


def problems_of(form: Form) -> list[tuple[str, str]]:
    """Return what is wrong with a form as (id of the input, sentence), in the order of its fields."""
    return [(first_input(field), str(field.errors[0])) for field in form if field.errors]


def sensible(_form: Form, field: Field) -> None:
    """Refuse a day that nobody means, and that a change of zone could push off the calendar."""
    if field.data and not 2000 <= field.data.year <= 2100:
        raise ValidationError(_("Choose a day between 2000 and 2100."))
