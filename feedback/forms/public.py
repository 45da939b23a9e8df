"""What customers fill in on their case page: no session, so the form's own key makes a double click one reply."""

from __future__ import annotations

import re

from flask_babel import lazy_gettext as _l
from wtforms import Form, HiddenField, MultipleFileField, TextAreaField
from wtforms.validators import DataRequired, Length

from core.db import new_public_id


def plain(value: str | None) -> str | None:
    """Return typed text without blanks around it, and without NUL, which no database text holds."""
    return value.replace("\0", "").strip() if value else value


class CustomerReplyForm(Form):
    reply = TextAreaField(
        filters=[plain],
        validators=[
            DataRequired(_l("Write what you want to tell us.")),
            Length(max=10_000, message=_l("That is longer than we can take at once. Please send it in parts.")),
        ],
    )
    file = MultipleFileField(_l("Add a photo or file"))
    form_key = HiddenField()

    def key(self) -> str:
        typed = self.form_key.data or ""
        return typed if re.fullmatch(r"[A-Za-z0-9_-]{22}", typed) else new_public_id()
