"""The form by which somebody declares two wordings equivalent. The rules: surveys.wordings."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from accounts.forms import one_line, trimmed


class WordingForm(FlaskForm):
    why = TextAreaField(
        _l("Why they ask the same"),
        filters=[trimmed],
        validators=[
            DataRequired(_l("Say in a few words what makes them the same, for example: only a typing error is gone.")),
            one_line,
            Length(max=500, message=_l("This is longer than 500 characters.")),
        ],
        description=_l("Whoever reads the trend later sees it here, with your name."),
    )
