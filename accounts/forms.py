"""The forms of profile and settings: shape and wording; the rules are in accounts.staff and accounts.api_keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    PasswordField,
    SelectField,
    StringField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import Email, EqualTo, InputRequired, Length, Regexp, ValidationError

from accounts.api_keys import SCOPES
from accounts.models import Staff, Team
from accounts.permissions import TITLES, RoleName
from core.db import new_public_id
from core.editing import EditForm
from core.fields import CheckboxesField
from core.i18n import LANGUAGES
from customers.models import Brand

REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
DAYS_OF_A_KEY = {"": _l("Until it is revoked"), "90": _l("90 days"), "365": _l("A year")}


def trimmed(value: str | None) -> str | None:
    return " ".join(value.split()) if value else value


def one_line(_form: FlaskForm, field: Field) -> None:
    """Refuse what no name holds: control characters, among them NUL, which the database cannot store."""
    if not (field.data or "").isprintable():
        raise ValidationError(_("Use letters, digits and signs only."))


def name_field(label: Any, missing: Any, hint: Any = "", *, most: int = 80) -> StringField:
    too_long = _l("Use at most %(most)s characters.", most=most)
    checks = [InputRequired(missing), Length(max=most, message=too_long), one_line]
    return StringField(label, checks, filters=[trimmed], description=hint)


@cache
def zones() -> tuple[str, ...]:
    return ("UTC", *sorted(zone for zone in available_timezones() if zone.partition("/")[0] in REGIONS))


class ProfileForm(FlaskForm):
    name = name_field(_l("Name"), _l("Enter your name, as customers should read it."))
    language = SelectField(_l("Language"), choices=[SelectChoice(own.code, own.name) for own in LANGUAGES.values()])
    zone = SelectField(_l("Time zone"), description=_l("Every time you see is in this zone."))
    single_keys = BooleanField(
        _l("Single keys"), description=_l("J, K, R and others act at once on the desk. Off while you type.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = [
            SelectChoice(zone, zone.partition("/")[2].replace("_", " ") or zone, optgroup=zone.partition("/")[0])
            for zone in zones()
        ]


class StaffForm(FlaskForm):
    name = name_field(_l("Name"), _l("Enter the name, as customers should read it."))
    roles = CheckboxesField(
        _l("Roles"),
        [InputRequired(_l("Choose at least one role."))],
        choices=[SelectChoice(name.value, TITLES[name]) for name in RoleName],
    )
    team = SelectField(_l("Team"), description=_l("A team of one brand sees that brand alone."))

    def offer_teams(self, teams: list[Team]) -> None:
        self.team.choices = [
            SelectChoice("", _("No team")),
            *(SelectChoice(team.public_id, team.name) for team in teams),
        ]
        self._teams = {team.public_id: team for team in teams}

    @property
    def chosen_team(self) -> Team | None:
        return self._teams.get(self.team.data or "")


class NewStaffForm(StaffForm):
    email = EmailField(
        _l("Work e-mail address"),
        [
            InputRequired(_l("Enter the address to sign in with.")),
            Length(max=254, message=_l("This address is too long.")),
            Email(message=_l("An address looks like ana@shop.example.")),
            one_line,
        ],
        filters=[trimmed],
    )


class PasswordForm(FlaskForm):
    password = PasswordField(
        _l("New password"),
        [InputRequired(_l("Choose a password."))],
        description=_l("At least 10 characters; a few words in a row are fine."),
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        _l("The same once more"),
        [
            InputRequired(_l("Type the password a second time.")),
            EqualTo("password", _l("The two passwords differ. Type the same one twice.")),
        ],
        render_kw={"autocomplete": "new-password"},
    )


class KeyForm(FlaskForm):
    """`form_key` becomes the key's public id: a form sent twice makes one key."""

    form_key = HiddenField(default=new_public_id, validators=[Regexp(r"[A-Za-z0-9_-]{22}\Z")])
    name = name_field(
        _l("Name"), _l("Say which system will use it."), _l("Which system uses it, such as “Shop checkout”.")
    )
    scopes = CheckboxesField(
        _l("It may"),
        [InputRequired(_l("Choose at least one thing it may do."))],
        choices=[SelectChoice(scope, label) for scope, label in SCOPES.items()],
    )
    days = SelectField(_l("It works"), choices=[SelectChoice(days, label) for days, label in DAYS_OF_A_KEY.items()])

    def expires_at(self, now: datetime) -> datetime | None:
        return now + timedelta(days=int(self.days.data)) if self.days.data else None


class StageForm(FlaskForm):
    name = name_field(_l("Name"), _l("Give the stage a name, for example Get help."))


class TeamForm(EditForm):
    name = name_field(_l("Name"), _l("Give the team a name, for example Support."))
    brand = SelectField(_l("Works for"), description=_l("A team of one brand sees that brand alone."))
    members = CheckboxesField(
        _l("Members"),
        description=_l(
            "Everybody is in one team at most: who is ticked leaves the other one. Without a team one sees every brand."
        ),
    )

    def offer(self, brands: Sequence[Brand], people: Sequence[Staff], *, team: Team | None, every_brand: bool) -> None:
        """Fill the choices; a person of another team is shown with it."""
        every = [SelectChoice("", _("every brand"))] if every_brand else []
        self.brand.choices = [*every, *(SelectChoice(brand.key, brand.name) for brand in brands)]
        self.members.choices = [SelectChoice(each.public_id, _with_team(each, team)) for each in people]


def _with_team(person: Staff, team: Team | None) -> str:
    other = person.team.name if person.team and person.team is not team else ""
    return _("%(name)s (now in %(team)s)", name=person.name, team=other) if other else person.name
