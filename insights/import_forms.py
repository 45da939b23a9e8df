"""The forms of imports: the upload, the columns of one file, and a mapping as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import available_timezones

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import Field, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from core.fields import CheckboxesField
from customers.looks import FORMATS, Look
from customers.mapping_format import Kind, Unlisted
from customers.models import Brand, ImportRun
from customers.scales import SCALES, Metric
from insights import matching
from insights.matching import Slot

KINDS: Final = {
    Kind.INTERACTIONS: _l("Interactions"),
    Kind.RESPONSES: _l("Responses"),
    Kind.COMPLAINTS: _l("Complaints"),
}
_EXAMPLE: Final = datetime(2025, 1, 29, 16, 5, tzinfo=UTC)
_UNLISTED: Final = {
    Unlisted.REFUSE: _l("Refuse the row"),
    Unlisted.KEEP: _l("Keep it as it is"),
    Unlisted.BLANK: _l("Leave it blank"),
}


class UploadForm(FlaskForm):
    file = FileField(_l("File"), description=_l("CSV, or XLSX with the table on its first sheet; up to 50 MB."))
    brand = SelectField(_l("Brand"))
    like = SelectField(_l("Columns"), description=_l("An earlier import may have matched the same columns."))
    mapping = FileField(_l("Mapping"), description=_l("A TOML file that says which columns are what, if you have one."))

    def offer(self, brands: Sequence[Brand], runs: Sequence[ImportRun], *, may_leave_open: bool) -> None:
        first = [SelectChoice("", _("The first brand"))] if may_leave_open else []
        self.brand.choices = first + [SelectChoice(brand.key, brand.name) for brand in brands]
        named = [SelectChoice(run.public_id, _("As in %(file)s", file=run.file_name)) for run in runs]
        self.like.choices = [SelectChoice("", _("Guess from the headers")), *named]


class TextForm(FlaskForm):
    toml = TextAreaField(_l("Mapping as text (TOML)"))


def columns_form(kind: Kind, look: Look, typed: Mapping[str, Any] | None, *, surveys: Sequence[str]) -> Any:
    """Return the form of a file's columns, filled with what was `typed`, or what was posted where that is None."""
    fields: dict[str, Any] = {"zone": _zones(), "encoding": HiddenField(), "delimiter": HiddenField()}
    for slot in matching.slots_of(kind):
        fields |= {f"{slot.slug}__{part}": field for part, field in _fields_of(slot, look, kind).items()}
    fields |= _settings(kind, look, surveys)
    form = type(FlaskForm)("ColumnsForm", (FlaskForm,), fields)(data=dict(typed or {}))
    for slot in matching.slots_of(kind):
        _offer_what_is_lacking(form[f"{slot.slug}__column"])
    form.encoding.data, form.delimiter.data = look.layout.get("encoding", ""), look.layout.get("delimiter", ",")
    return form


def _zones() -> SelectField:
    zones = [SelectChoice(zone, zone.replace("_", " ")) for zone in sorted(available_timezones() - {"localtime"})]
    return SelectField(
        _l("Time zone"), description=_l("Of dates that name none."), choices=zones, validate_choice=False
    )


def _fields_of(slot: Slot, look: Look, kind: Kind) -> dict[str, Field]:
    """Return the inputs of one field: its column, and what can be said beside it."""
    headers = [SelectChoice(name, name) for name in look.headers]
    made: dict[str, Field] = {
        "column": SelectField(
            slot.label, choices=[SelectChoice("", _("Not in the file")), *headers], validate_choice=False
        ),
        "second": SelectField(
            _("%(field)s, second part", field=slot.label),
            choices=[SelectChoice("", _("None")), *headers],
            validate_choice=False,
        ),
        "value": StringField(_("%(field)s, the same in every row", field=slot.label)),
        "format": SelectField(
            _("%(field)s: how it is written", field=slot.label), choices=_formats(look), validate_choice=False
        ),
        "other": StringField(
            _("%(field)s: another way of writing", field=slot.label),
            description=_("Codes such as %%d.%%m.%%Y %%H:%%M; several are divided by a bar."),
        ),
        "map": TextAreaField(
            _("%(field)s: what the values mean", field=slot.label),
            description=_("One line each: the file’s value = ours. Empty: as they stand."),
        ),
        "unlisted": SelectField(
            _("%(field)s: a value that is not listed", field=slot.label),
            choices=[SelectChoice(key, label) for key, label in _UNLISTED.items()],
            validate_choice=False,
        ),
        "missing": StringField(
            _("%(field)s: codes for no answer", field=slot.label),
            description=_("Such as 11, 99. These rows are kept without a score."),
        ),
        "default": StringField(_("%(field)s: where it is blank", field=slot.label)),
    }
    return {part: field for part, field in made.items() if part == "column" or part in slot.parts}


def _formats(look: Look) -> list[SelectChoice]:
    """Return the formats that some column is in, the others behind them."""
    fitting = {format_ for column in look.columns for format_ in column.formats}
    named = [SelectChoice(matching.AUTO, _("As the file has it")), SelectChoice("iso", _("ISO: 2025-01-29 16:05"))]
    return [
        *named,
        *(
            SelectChoice(each, _EXAMPLE.strftime(each), optgroup=_("In this file") if each in fitting else _("Other"))
            for each in sorted(FORMATS[1:], key=lambda each: each not in fitting)
        ),
    ]


def _settings(kind: Kind, look: Look, surveys: Sequence[str]) -> dict[str, Field]:
    headers = [SelectChoice(name, name) for name in look.headers]
    fields: dict[str, Field] = {
        "key": CheckboxesField(
            _l("What tells one row from another"),
            description=_l("Rows in which all of these are the same are one, in this file and in every later one."),
            choices=headers,
            validate_choice=False,
        ),
        "attributes": CheckboxesField(
            _l("Kept beside it, as it stands"),
            description=_l("Columns that have no field of their own, such as a postcode."),
            choices=headers,
            validate_choice=False,
        ),
    }
    if kind is Kind.RESPONSES:
        scales = {metric: f"{metric.upper()}, {low} – {high}" for metric, (low, high) in SCALES.items()}
        fields["metric"] = SelectField(
            _l("Question"), choices=[SelectChoice(metric, scales[metric]) for metric in Metric], validate_choice=False
        )
        known = _("Here already: %(keys)s.", keys=", ".join(surveys[:6])) if surveys else ""
        made = _("One that is not here is made.")
        fields["survey"] = StringField(_l("Key of the survey"), description=f"{known} {made}".strip())
    if kind is Kind.INTERACTIONS:
        fields["unit"] = SelectField(
            _l("Amounts are in"),
            choices=[SelectChoice("major", _("euros, dollars …")), SelectChoice("minor", _("cents"))],
            validate_choice=False,
        )
        fields["decimal"] = SelectField(
            _l("Decimal mark"),
            choices=[SelectChoice(".", "1,250.00"), SelectChoice(",", "1.250,00")],
            validate_choice=False,
        )
    return fields


def _offer_what_is_lacking(field: Field) -> None:
    """Keep a column that the file lacks among the choices, so that the page shows what is refused."""
    if field.data and all(choice.value != field.data for choice in field.choices):
        field.choices = [
            *field.choices,
            SelectChoice(field.data, _("%(column)s (not in this file)", column=field.data)),
        ]


def refuse(form: FlaskForm, faults: Mapping[str, str]) -> None:
    """Show sentences at the inputs that they belong to; what belongs to none stands above the form."""
    for name, sentence in faults.items():
        if name in form:
            form[name].errors = [*form[name].errors, sentence]
        else:
            form.form_errors = [*form.form_errors, sentence]
