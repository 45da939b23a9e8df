"""When something happened, as exactly as somebody knows it: a day, a month or a year."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Final

from babel.dates import format_date
from flask_babel import gettext as _

from core import formats, i18n
from core.errors import Refusal

EARLIEST_YEAR: Final = 1990


class BadDate(Refusal):
    """A date that cannot be; `field` is d, m or y, where it has to be mended."""

    code = "bad-date"


def read(day: str, month: str, year: str, *, today: date) -> str:
    """Return ISO "2025-11-11", "2025-11" or "2025" for what was typed, or raise BadDate.

    A rough date is fine: the day may be missing, also with the month. Digits of any script are read.
    """
    if not (day or month or year):
        raise BadDate(_("Say roughly when it happened: a month and a year will do, for example 11 2025"), field="m")
    if not year:
        raise BadDate(_("The date needs a year, for example %(year)s", year=formats.digits(today.year)), field="y")
    if day and not month:
        raise BadDate(_("The date needs a month, for example 11"), field="m")
    number = _number(year, field="y")
    number += 2000 if number < 100 else 0
    if not EARLIEST_YEAR <= number <= today.year:
        raise BadDate(_year_words(number, today), field="y")
    return _exact(number, month, day, today)


def shown(happened_on: str) -> str:
    """Return "11 November 2025", "November 2025" or "2025" for what `read` returned."""
    parts = [int(part) for part in happened_on.split("-")]
    if len(parts) == 3:
        return formats.day(date.fromisoformat(happened_on), "full")
    if len(parts) == 2:
        return formats.digits(format_date(date(parts[0], parts[1], 1), format="LLLL y", locale=i18n.language()))
    return formats.digits(parts[0])


def _exact(year: int, month: str, day: str, today: date) -> str:
    if not month:
        return f"{year}"
    in_month = _number(month, field="m")
    if not 1 <= in_month <= 12:
        raise BadDate(_("A month is a number from 1 to 12"), field="m")
    if not day:
        if (year, in_month) > (today.year, today.month):
            raise BadDate(_in_the_future(), field="m")
        return f"{year}-{in_month:02}"
    on_day, last = _number(day, field="d"), monthrange(year, in_month)[1]
    if not 1 <= on_day <= last:
        raise BadDate(_("That month has the days 1 to %(last)s", last=formats.digits(last)), field="d")
    if date(year, in_month, on_day) > today:
        raise BadDate(_in_the_future(), field="d")
    return date(year, in_month, on_day).isoformat()


def _number(text: str, *, field: str) -> int:
    if not text.isdecimal() or len(text) > 4:
        raise BadDate(_("Write the date in numbers, for example 11 11 2025"), field=field)
    return int(text)


def _year_words(year: int, today: date) -> str:
    if year > today.year:
        return _in_the_future()
    return _("Check the year, for example %(year)s", year=formats.digits(today.year))


def _in_the_future() -> str:
    return _("That day is still to come. Check the date")
