"""Form fields as pages show them: which attributes tie an input to its error and hint, and a field of tick boxes."""

from __future__ import annotations

from typing import Any

from flask import Flask
from wtforms import Field, Form, SelectMultipleField
from wtforms.widgets import CheckboxInput, ListWidget

GROUPS = ("RadioField", "SelectMultipleField", "CheckboxesField")


class CheckboxesField(SelectMultipleField):
    """Several of a few choices, as tick boxes."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


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
