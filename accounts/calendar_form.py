"""The form of a calendar: opening hours as people write them, holidays by country, closed days one to a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import holidays
from babel import Locale
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import Length, StopValidation, ValidationError

from accounts.forms import name_field, trimmed, zones
from core import working_time
from core.editing import EditForm
from core.working_time import DAYS, Interval
from customers.calendars import CalendarData

TITLES = {
    "mon": _l("Monday"),
    "tue": _l("Tuesday"),
    "wed": _l("Wednesday"),
    "thu": _l("Thursday"),
    "fri": _l("Friday"),
    "sat": _l("Saturday"),
    "sun": _l("Sunday"),
}
MAX_CLOSED = 400
_SPAN = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:[-–—]|to)\s*(\d{1,2})(?:[:.](\d{2}))?")


class HoursField(StringField):
    """One day's opening hours, as 09:00–12:00, 13:00–18:00; `data` is [["09:00", "12:00"], …], blank is closed."""

    data: Any
    typed = ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.typed, self.data = (valuelist[0].strip() if valuelist else ""), []

    def pre_validate(self, form: Any) -> None:
        try:
            self.data = [self._span(part.strip()) for part in re.split(r"[,;]", self.typed) if part.strip()]
            working_time.Calendar("UTC", (tuple(map(Interval.from_json, self.data)),) + ((),) * 6)
        except ValueError as error:
            self.data = []
            raise StopValidation(_overlapping(error)) from error
        self.data.sort()

    def _span(self, text: str) -> list[str]:
        found = _SPAN.fullmatch(text)
        if found is None:
            raise StopValidation(_("Write hours as 09:00–12:00, 13:00–18:00. Leave it blank where it is closed."))
        start, end = _wall(found[1], found[2]), _wall(found[3], found[4])
        if end <= start:
            raise StopValidation(
                _(
                    "%(text)s ends before it starts. For hours past midnight, write to 24:00, and go on the next day.",
                    text=text,
                )
            )
        return [start, end]

    def tell(self, pairs: Any) -> str:
        return hours_words(pairs)

    def _value(self) -> str:
        return self.typed if self.raw_data else hours_words(self.data)


def hours_words(pairs: Any) -> str:
    return ", ".join(f"{start}–{end}" for start, end in pairs or [])


def _wall(hour: str, minute: str | None) -> str:
    wall = f"{int(hour):02}:{minute or '00'}"
    if wall > "24:00" or int(minute or 0) > 59:
        raise StopValidation(_("%(time)s is no time of day: they go from 00:00 to 24:00.", time=wall))
    return wall


def _overlapping(_error: ValueError) -> str:
    return _("Some of these hours overlap. Write each only once, for example 09:00–12:00, 13:00–18:00.")


class DaysField(TextAreaField):
    """Days off, one to a line, as 2026-12-24; `data` is the list of dates."""

    data: Any
    typed = ""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.typed, self.data = (valuelist[0] if valuelist else ""), []

    def pre_validate(self, form: Any) -> None:
        self.data = sorted({self._day(word) for word in re.split(r"[\s,;]+", self.typed) if word})
        if len(self.data) > MAX_CLOSED:
            raise StopValidation(
                _("These are more than %(most)s days. Close whole weekdays above instead.", most=MAX_CLOSED)
            )

    def _day(self, word: str) -> date:
        try:
            day = date.fromisoformat(word)
        except ValueError:
            day = date.min
        if not 2000 <= day.year <= 2100:
            raise StopValidation(_("“%(word)s” is no day. Write each as 2026-12-24.", word=word[:40]))
        return day

    def _value(self) -> str:
        return self.typed if self.raw_data else "\n".join(day.isoformat() for day in self.data or [])


class CalendarForm(EditForm):
    name = name_field(_l("Name"), _l("Give it a name, for example Service hours."))
    zone = SelectField(_l("Time zone"), description=_l("The hours below are meant in this zone."))
    mon = HoursField(TITLES["mon"])
    tue = HoursField(TITLES["tue"])
    wed = HoursField(TITLES["wed"])
    thu = HoursField(TITLES["thu"])
    fri = HoursField(TITLES["fri"])
    sat = HoursField(TITLES["sat"])
    sun = HoursField(TITLES["sun"])
    country = SelectField(_l("Public holidays of"), description=_l("It is closed on them."))
    region = StringField(
        _l("State or region"),
        [Length(max=60, message=_l("Use at most 60 characters."))],
        filters=[trimmed],
        description=_l("Its name or code, such as Hamburg or HH. Blank: only those of the whole country."),
    )
    closed_on = DaysField(_l("Other closed days"), description=_l("One to a line, such as 2026-12-24."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = [SelectChoice(zone, zone.replace("_", " ")) for zone in zones()]
        countries = sorted(_countries(str(get_locale() or "en")).items(), key=lambda each: each[1])
        self.country.choices = [SelectChoice("", _("No country")), *(SelectChoice(*each) for each in countries)]

    @property
    def days(self) -> list[HoursField]:
        return [self[day] for day in DAYS]

    def validate_region(self, field: StringField) -> None:
        """Turn a region's name into its code, and refuse one that the country has not."""
        if not field.data:
            return
        if not self.country.data:
            raise ValidationError(_("Choose the country first."))
        known = regions_of(self.country.data)
        found = known.get(field.data.casefold())
        if found is None:
            names = ", ".join(sorted(set(known.values())))
            raise ValidationError(
                _("We know no such region there. There are: %(names)s.", names=names)
                if names
                else _("We know no regions of this country. Leave it blank.")
            )
        field.data = found

    def data_of_calendar(self) -> CalendarData:
        """Return the calendar as it was typed; call it after `validate`."""
        region = f"-{self.region.data}" if self.region.data else ""
        return CalendarData(
            name=self.name.data,
            zone=self.zone.data,
            weekly={day: self[day].data for day in DAYS},
            country=f"{self.country.data}{region}" if self.country.data else None,
            closed_on=self.closed_on.data,
        )


def values_of(data: CalendarData) -> dict[str, Any]:
    """Return a calendar as its form has it, by field name."""
    country, _dash, region = (data.country or "").partition("-")
    return {
        "name": data.name,
        "zone": data.zone,
        **{day: data.weekly.get(day, []) for day in DAYS},
        "country": country,
        "region": region,
        "closed_on": list(data.closed_on),
    }


@cache
def _countries(locale: str) -> Mapping[str, str]:
    """Return the countries whose holidays are known, with their names."""
    names = Locale.parse(locale).territories
    return {code: names[code] for code in holidays.list_supported_countries(include_aliases=False) if code in names}


@cache
def regions_of(country: str) -> Mapping[str, str]:
    """Return the code of each region of a country, by code and by name, in small letters."""
    codes = holidays.list_supported_countries(include_aliases=False).get(country, [])
    aliases = holidays.country_holidays(country).subdivisions_aliases if codes else {}
    found = {str(name).casefold(): str(code) for name, code in aliases.items()}
    return found | {code.casefold(): code for code in codes}
