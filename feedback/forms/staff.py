"""What staff fill in at the desk. Each act has a prefix, because all stand on one page; access checks the token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from core import formats
from core.db import new_public_id
from core.working_time import Calendar
from feedback.promises import WHY_ANEW, Appointment
from feedback.several import REASONS

LONGEST = 10_000
DAYS_AHEAD = 30  # in which a time is looked for
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")


def plain(value: str | None) -> str | None:
    """Return typed text without blanks around it, and without NUL, which no database text holds."""
    return value.replace("\0", "").strip() if value else value


def choices_of(pairs: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    """Return (value, label) pairs as choices."""
    return [SelectChoice(value, label) for value, label in pairs]


class ActForm(FlaskForm):
    """A form whose `form_key` makes a double click one act."""

    class Meta:
        csrf = False  # core.access has checked the page's one token before the view runs

    form_key = HiddenField()

    def key(self) -> str:
        """Return the key of this form; a missing or strange one is made anew."""
        typed = self.form_key.data or ""
        return typed if _KEY.fullmatch(typed) else new_public_id()

    def renew(self) -> ActForm:
        """Give an empty form its key."""
        if not self.form_key.data:
            self.form_key.data = new_public_id()
        return self


class ReplyForm(ActForm):
    body = TextAreaField(
        _l("Message"),
        filters=[plain],
        validators=[DataRequired(_l("Write what you want to say.")), Length(max=LONGEST)],
    )
    wait = BooleanField(_l("Then wait for the answer"), description=_l("The clocks pause until the customer writes."))
    last_seen = HiddenField()

    def seen(self) -> int:
        """Return the newest entry its writer saw; none for anything strange."""
        typed = self.last_seen.data or ""
        return int(typed) if re.fullmatch(r"[0-9]{1,18}", typed) else 0


class CallForm(ActForm):
    reached = RadioField(
        _l("Did you reach them?"),
        choices=[SelectChoice("yes", _l("Reached")), SelectChoice("no", _l("Not reached"))],
        validators=[InputRequired(_l("Say whether you spoke with the customer."))],
    )
    minutes = IntegerField(
        _l("Minutes"),
        validators=[Optional(), NumberRange(0, 600, _l("A call takes from 0 to 600 minutes."))],
        render_kw={"inputmode": "numeric"},
    )
    body = TextAreaField(_l("What was said"), filters=[plain], validators=[Length(max=LONGEST)])


class NoteForm(ActForm):
    body = TextAreaField(
        _l("Note"), filters=[plain], validators=[DataRequired(_l("Write the note.")), Length(max=LONGEST)]
    )


class WhenForm(ActForm):
    """A time to come: one of those offered, or another day and time in the reader's zone."""

    by = RadioField(_l("By when"), validators=[InputRequired(_l("Choose a time."))])
    on = DateField(_l("Day"), validators=[Optional()])
    at = TimeField(_l("Time"), validators=[Optional()])

    def offer_times(self, *, now: datetime, zone: str, calendar: Calendar | None = None) -> None:
        self.by.choices = choices_of([*_times(now, calendar), ("other", _("Other…"))])
        self.zone = zone
        self.renew()

    def validate(self, extra_validators: Any = None) -> bool:
        """Check each field, and that "other" names its day and time."""
        fine: bool = super().validate(extra_validators)
        if self.by.data != "other":
            return fine
        for field, words in ((self.on, _("Choose a day.")), (self.at, _("Choose a time."))):
            if field.data is None and not field.errors:
                field.errors = [words]
        return fine and self.on.data is not None and self.at.data is not None

    def when(self) -> Appointment:
        if self.by.data != "other":
            chosen = datetime.fromisoformat(str(self.by.data))
            return Appointment(chosen.date(), chosen.time(), self.zone)
        return Appointment(self.on.data, self.at.data, self.zone)


class PromiseForm(WhenForm):
    words = StringField(
        _l("What we will do"),
        filters=[plain],
        validators=[DataRequired(_l("Say what we will do.")), Length(max=300)],
    )
    keeper = SelectField(_l("Who keeps it"))
    tell = BooleanField(
        _l("Tell the customer now by e-mail"), description=_l("They see it on their case page either way.")
    )

    def offer(
        self, *, now: datetime, zone: str, staff: list[tuple[str, str]], calendar: Calendar | None = None
    ) -> PromiseForm:
        """Offer times that are still to come in this zone, on days with working time, and who can keep it."""
        self.keeper.choices = choices_of([("", _("The team")), *staff])
        self.offer_times(now=now, zone=zone, calendar=calendar)
        return self


class AnotherTimeForm(PromiseForm):
    because = RadioField(
        _l("Why at another time"),
        choices=[SelectChoice(code, words) for code, words in WHY_ANEW.items()],
        validators=[InputRequired(_l("Say why."))],
    )


def _times(now: datetime, calendar: Calendar | None) -> list[tuple[str, str]]:
    """Return three good times in the reader's zone: later today, then noon of the next days somebody works.

    Without a calendar, as for the cases of several brands, those are Monday to Friday.
    """
    here = formats.local(now)
    today = here.replace(hour=17, minute=0, second=0, microsecond=0)
    days = [today] if here + timedelta(hours=1) < today else []
    noons = (datetime.combine(here.date() + timedelta(days=n), time(12, 0), here.tzinfo) for n in range(1, DAYS_AHEAD))
    days += islice((noon for noon in noons if _is_worked(noon, calendar)), 3 - len(days))
    return [(f"{each:%Y-%m-%dT%H:%M}", _named(each, here)) for each in days]


def _is_worked(noon: datetime, calendar: Calendar | None) -> bool:
    if calendar is None:
        return noon.weekday() < 5
    return any(calendar.intervals(noon - timedelta(hours=12), noon + timedelta(hours=12)))


def _named(at: datetime, here: datetime) -> str:
    if at.date() == here.date():
        return _("Today %(time)s", time=formats.time(at))
    return f"{formats.day(at.date())} {formats.time(at)}"


class GoodwillForm(ActForm):
    amount = DecimalField(
        _l("Amount"),
        places=2,
        validators=[
            InputRequired(_l("Say how much, for example 25.")),
            NumberRange(Decimal("0.01"), Decimal(100_000), _l("The amount must be more than nothing.")),
        ],
        render_kw={"inputmode": "decimal"},
    )
    words = StringField(
        _l("Why"),
        filters=[plain],
        validators=[DataRequired(_l("Say what this makes up for.")), Length(max=300)],
    )


class ResolveForm(ActForm):
    cause = SelectField(_l("Root cause"), validators=[InputRequired(_l("Choose why it had happened."))])
    words = TextAreaField(_l("What was done"), filters=[plain], validators=[Length(max=LONGEST)])

    def offer(self, causes: list[tuple[str, str]]) -> ResolveForm:
        self.cause.choices = choices_of([("", _("Choose…")), *causes])
        self.renew()
        return self


class PriorityForm(ActForm):
    priority = RadioField(
        _l("Priority"),
        choices=[
            SelectChoice("urgent", _l("Urgent")),
            SelectChoice("high", _l("High")),
            SelectChoice("normal", _l("Normal")),
        ],
        validators=[InputRequired(_l("Choose a priority."))],
    )


class PlanForm(WhenForm):
    because = SelectField(
        _l("Why"),
        choices=[SelectChoice(code, words) for code, words in REASONS.items()],
        validators=[InputRequired()],
    )

    def offer(self, *, now: datetime, zone: str) -> PlanForm:
        """Offer times to come, and to take the time away again."""
        self.offer_times(now=now, zone=zone)
        self.by.choices = [*self.by.choices, SelectChoice("none", _("No time of its own"))]
        return self

    def when_or_none(self) -> Appointment | None:
        return None if self.by.data == "none" else self.when()


class ChoiceForm(ActForm):
    """One thing chosen from a list: a root cause, a category, a team, a person."""

    one = SelectField(_l("Which"), validators=[InputRequired(_l("Choose one."))])

    def offer(self, pairs: Iterable[tuple[str, str]]) -> ChoiceForm:
        self.one.choices = choices_of([("", _("Choose…")), *pairs])
        return self


class MergeForm(ActForm):
    """Which of the customer's other cases goes on."""

    into = RadioField(
        _l("Which case goes on"),
        validators=[InputRequired(_l("Choose the case that goes on."))],
        validate_choice=False,  # the verb says why one that was offered cannot be taken any more
    )

    def offer(self, pairs: Iterable[tuple[str, str]]) -> MergeForm:
        self.into.choices = choices_of(pairs)
        return self


class NewCaseForm(ActForm):
    """A case opened by hand. The customer is named by what staff have: e-mail address or customer number."""

    customer = StringField(
        _l("Customer"),
        filters=[plain],
        validators=[Length(max=320)],
        description=_l("E-mail address or customer number. Empty: nobody known."),
    )
    brand = SelectField(_l("Brand"))
    summary = StringField(
        _l("What went wrong"),
        filters=[plain],
        validators=[DataRequired(_l("Say in a few words what went wrong.")), Length(max=200)],
        description=_l("The heading of the case. The customer sees it on their case page."),
    )
    words = TextAreaField(_l("In the customer’s own words"), filters=[plain], validators=[Length(max=LONGEST)])
    touchpoint = SelectField(_l("Where it happened"))
    wants = RadioField(
        _l("How to reach them"),
        choices=[
            SelectChoice("phone", _l("By phone")),
            SelectChoice("email", _l("By e-mail")),
            SelectChoice("none", _l("No contact wished")),
        ],
        default="phone",
    )
    language = SelectField(_l("Language"))

    def offer(self, **choices: list[tuple[str, str]]) -> NewCaseForm:
        """Set the choices of brand, touchpoint and language."""
        for name, values in choices.items():
            self[name].choices = choices_of(values)
        self.renew()
        return self


class ViewForm(FlaskForm):
    class Meta:
        csrf = False

    name = StringField(
        _l("Name"), filters=[plain], validators=[DataRequired(_l("Give the view a name.")), Length(max=60)]
    )
    shared = BooleanField(_l("Share with everybody"))


def first_problem(form: Any) -> str:
    """Return the first thing that is wrong with a form, for a short message."""
    return next((str(field.errors[0]) for field in form if field.errors), "")
