"""The forms of a customer's record: shape and wording alone."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length


class EraseForm(FlaskForm):
    """What is typed shows that the right record is meant."""

    typed = StringField(
        _l("The customer’s number or name"),
        [
            InputRequired(_l("Type the customer’s number or name, so that nobody is erased by a slip.")),
            Length(max=200, message=_l("Use at most 200 characters.")),
        ],
    )
