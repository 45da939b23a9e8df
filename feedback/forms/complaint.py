"""The complaint form: shape and wording. Staff who fill it in for a customer get some more fields: forms/filed.py."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Form, HiddenField, MultipleFileField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

from core.db import new_public_id
from customers import contacts
from customers.models import Customer
from feedback import happened
from feedback.forms.public import plain

LONGEST: Final = 10_000
LONGEST_REFERENCE: Final = 60
TOO_LONG: Final = (
    Length(max=LONGEST, message=_l("That is longer than we can take at once. Please send it in parts.")),
)
_REFERENCE = re.compile(r"[#№]?\s*\w[\w ./_:#-]*")
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")
_DIALLED = re.compile(r"\+?[\d\s()/.\-\u2010-\u2015\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def one_line(value: str | None) -> str | None:
    """Return typed text as one line: no line breaks or other control characters get into a name or a number."""
    if not value:
        return value
    return " ".join("".join(each if each.isprintable() or each == "\u200f" else " " for each in value).split())


class ComplaintForm(Form):
    """What customers fill in. The three parts of the date are read together, and the ways to reach them too."""

    what = TextAreaField(
        _l("What happened?"),
        filters=[plain],
        validators=[
            DataRequired(_l("Tell us what happened. A sentence or two is enough")),
            *TOO_LONG,
        ],
    )
    ref = StringField(_l("Which order is it about?"), filters=[one_line])
    d = StringField(_l("Day"), id="when-d", filters=[one_line])
    m = StringField(_l("Month"), id="when-m", filters=[one_line])
    y = StringField(_l("Year"), id="when-y", filters=[one_line])
    right = RadioField(
        _l("What would put it right?"),
        choices=[
            SelectChoice("replace", _l("A replacement or a missing part")),
            SelectChoice("refund", _l("A refund, in full or in part")),
            SelectChoice("explain", _l("An explanation or an apology")),
            SelectChoice("other", _l("Something else")),
        ],
        validators=[InputRequired(_l("Choose what would put it right. “Something else” is fine"))],
    )
    via = RadioField(
        _l("How should we reach you?"),
        choices=[
            SelectChoice("phone", _l("Ring me")),
            SelectChoice("email", _l("E-mail me")),
            SelectChoice("sms", _l("Send me a text")),
        ],
        validators=[InputRequired(_l("Choose how we should reach you"))],
    )
    tel = StringField(_l("Phone number"), filters=[one_line])
    at = SelectField(
        _l("When suits you best?"),
        choices=[
            SelectChoice("", _l("Any time")),
            SelectChoice("morning", _l("In the morning")),
            SelectChoice("afternoon", _l("In the afternoon")),
            SelectChoice("evening", _l("In the evening")),
        ],
        default="",
    )
    mobile = StringField(_l("Mobile number"), filters=[one_line])
    name = StringField(
        _l("Your name"),
        filters=[one_line],
        validators=[Length(max=120, message=_l("A name has at most 120 characters"))],
    )
    email = StringField(_l("Your e-mail address"), filters=[one_line])
    file = MultipleFileField(_l("Photos or files"))
    form_key = HiddenField()

    known: Customer | None = None
    happened_on: str | None = None
    typed_phone: str | None = None
    typed_email: str | None = None

    def for_customer(self, known: Customer | None) -> ComplaintForm:
        """Ask only for what is not known of who is filing; a fresh form gets its key."""
        self.known = known
        if known is not None:
            del self.name
            if known.email:
                del self.email
        if not self.form_key.data:
            self.form_key.data = new_public_id()
        return self

    def key(self) -> str:
        """Return the key of this form; a missing or strange one is made anew."""
        typed = self.form_key.data or ""
        return typed if _KEY.fullmatch(typed) else new_public_id()

    def check(self, *, today: date) -> bool:
        """Check every field, so that all that is wrong is said at once; keep what was read of date, number, address."""
        self.validate()
        self._check_reference()
        self._check_date(today)
        self._check_number()
        if "email" in self:
            self._check_email()
        return not any(field.errors for field in self)

    def _check_reference(self) -> None:
        typed = self.ref.data or ""
        if typed and not (len(typed) <= LONGEST_REFERENCE and _REFERENCE.fullmatch(typed)):
            words = _(
                "An order number has letters and digits, for example NW-48213. If you don’t know it, leave it empty"
            )
            self.ref.errors = [words]

    def _check_date(self, today: date) -> None:
        try:
            self.happened_on = happened.read(self.d.data or "", self.m.data or "", self.y.data or "", today=today)
        except happened.BadDate as bad:
            self[str(bad.field)].errors = [bad.message]

    def _check_number(self) -> None:
        field = {"phone": self.tel, "sms": self.mobile}.get(self.via.data)
        if field is None:
            return
        typed = field.data or ""
        if not typed:
            if self.known is None or not self.known.phone:
                field.errors = [_("We need a number for that, for example +49 40 5550 4471")]
            return
        digits = [each for each in typed if each.isdecimal()]
        if not _DIALLED.fullmatch(typed) or not 5 <= len(digits) <= 15:
            field.errors = [_("This is no phone number. Write it in digits, for example +49 40 5550 4471")]
        else:
            self.typed_phone = contacts.written_phone(_in_ascii(typed))

    def _check_email(self) -> None:
        typed = self.email.data or ""
        if typed:
            self.typed_email = contacts.written_email(typed)
            if self.typed_email is None:
                self.email.errors = [_("The address is not complete. It looks like hanna@example.com")]
        elif self.via.data == "email" and (self.known is None or not self.known.email):
            self.email.errors = [self._no_email()]

    def _no_email(self) -> str:
        return _("We need your e-mail address for that, for example hanna@example.com")


def _in_ascii(typed: str) -> str:
    """Return a number with the digits that telephones have, without marks that only steer its display."""
    return "".join(
        str(int(each)) if each.isdecimal() else each for each in typed if each in "+()/.- " or each.isalnum()
    )
