"""Dates, times, durations and numbers as people say them, in the reader's language, zone and digits.

Everything in FILTERS is a Jinja filter of the same name. Moments are aware datetimes; `now` is passed, so that a page
has one now.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal
from flask import g, has_app_context
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import ngettext as _n

from core.money import Money, exponent

ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
MINUS, DASH = "−", "–"
# What Babel's own short forms lack: no weekday beside the date, or an American order for English.
PATTERNS = {
    "en": {
        "short": "EEE d MMM",
        "long": "EEEE d MMMM",
        "dated": "d MMM yyyy",
        "full": "d MMMM yyyy",
        "plain": "d MMM",
    },
    "de": {
        "short": "EEE d. MMM",
        "long": "EEEE, d. MMMM",
        "dated": "d. MMM yyyy",
        "full": "d. MMMM yyyy",
        "plain": "d. MMM",
    },
    "ar": {
        "short": "EEE d MMM",
        "long": "EEEE d MMMM",
        "dated": "d MMM yyyy",
        "full": "d MMMM yyyy",
        "plain": "d MMM",
    },
}


def zone() -> ZoneInfo:
    """Return the reader's zone: the brand's on public pages, the staff member's on staff pages, else UTC."""
    return ZoneInfo((g.get("zone") if has_app_context() else None) or "UTC")


def local(at: datetime) -> datetime:
    """Return the aware moment `at` in the reader's zone."""
    return at.astimezone(zone())


def digits(text: object) -> str:
    """Return `text` with the digits of the reader's language; not for codes, which must be typed as printed."""
    return str(text).translate(ARABIC_DIGITS) if _language() == "ar" else str(text)


def isolated(text: object) -> str:
    """Return `text` between first-strong isolates: a name keeps its direction in a sentence of the other one."""
    return f"\u2068{text}\u2069"


# Dates and times


def day(on: date | datetime, form: str = "short") -> str:
    """Return "Fri 14 Nov"; long "Friday 14 November", dated "14 Nov 2025", full "14 November 2025", plain "14 Nov"."""
    shown = local(on).date() if isinstance(on, datetime) else on
    return digits(_worded(shown, form, _language()))


@lru_cache(maxsize=4096)
def _worded(shown: date, form: str, language: str) -> str:
    """Return a day in words; the same few days stand on every page."""
    words = format_date(shown, format=PATTERNS.get(language, PATTERNS["en"])[form], locale=language)
    return words.replace(".,", ",") if form == "long" else words


def time(at: datetime) -> str:
    """Return "16:00" in the reader's zone."""
    return digits(f"{local(at):%H:%M}")


def iso(at: datetime) -> str:
    """Return the moment for a `datetime` attribute."""
    return local(at).isoformat(timespec="minutes")


def moment(at: datetime, now: datetime) -> str:
    """Return when something was or will be: "today at 11:31", "Wed 12 Nov, 18:20", or "12 Nov 2024, 18:20"."""
    words = {
        -1: _("yesterday at %(time)s"),
        0: _("today at %(time)s"),
        1: _("tomorrow at %(time)s"),
    }
    away = _days_between(now, at)
    if away in words:
        return words[away] % {"time": time(at)}
    form = "short" if local(at).year == local(now).year else "dated"
    return _("%(day)s, %(time)s", day=day(at, form), time=time(at))


def by_when(at: datetime, now: datetime) -> str:
    """Return a time to stand after "by": "16:00 today", "10:00 tomorrow", "Fri 14 Nov, 10:00"."""
    words = {0: _("%(time)s today"), 1: _("%(time)s tomorrow")}
    away = _days_between(now, at)
    return words[away] % {"time": time(at)} if away in words else moment(at, now)


def _days_between(now: datetime, at: datetime) -> int:
    return (local(at).date() - local(now).date()).days


# Durations


def duration(length: timedelta) -> str:
    """Return "25 min", "1 h 50" or "3 days"; days from 24 hours on, rounded down; a negative length as its size."""
    minutes = int(abs(length).total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    if hours >= 24:
        return _n("%(count)s day", "%(count)s days", hours // 24, count=digits(hours // 24))
    if not hours:
        return _("%(minutes)s min", minutes=digits(rest))
    if not rest:
        return _("%(hours)s h", hours=digits(hours))
    return _("%(hours)s h %(minutes)s", hours=digits(hours), minutes=digits(f"{rest:02}"))


def left(due_at: datetime, now: datetime) -> str:
    """Return the room until a deadline: "1 h 50 left", or "40 min over" once it has passed."""
    if due_at >= now:
        return _("%(duration)s left", duration=duration(due_at - now))
    return _("%(duration)s over", duration=duration(now - due_at))


def ago(at: datetime, now: datetime) -> str:
    """Return "4 s ago", "25 min ago"; for what happened a moment before."""
    passed = now - at
    if passed < timedelta(minutes=1):
        return _("%(seconds)s s ago", seconds=digits(max(int(passed.total_seconds()), 0)))
    return _("%(duration)s ago", duration=duration(passed))


# Numbers


def number(value: float | Decimal, places: int = 0) -> str:
    """Return "2,184", or with `places` decimals "11.2" as this language writes it."""
    pattern = "#,##0." + "0" * places if places else "#,##0"
    system = "arab" if _language() == "ar" else "latn"
    return digits(format_decimal(value, format=pattern, locale=_language(), numbering_system=system))


def signed(value: float, places: int = 0) -> str:
    """Return "+32", "−4" or "0": a score or a change, with a true minus."""
    rounded = round(value, places)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return sign + number(abs(rounded), places)


def percent(share: float, places: int = 0) -> str:
    """Return "59%" for the share 0.59."""
    return _("%(number)s%%", number=number(share * 100, places))


def money(amount_minor: int, currency: str) -> str:
    """Return "€50" for 5000 minor units, "€12.50" for 1250: without decimals where they say nothing."""
    known = Locale.parse(_language())
    amount = Money(amount_minor, currency).amount
    pattern = copy(known.currency_formats["standard"])
    pattern.frac_prec = (0, 0) if amount == amount.to_integral_value() else (exponent(currency),) * 2
    system = "arab" if _language() == "ar" else "latn"
    words = pattern.apply(abs(amount), known, currency=currency, currency_digits=False, numbering_system=system)
    return digits((MINUS if amount < 0 else "") + words)


def amount(amount_minor: int, currency: str) -> str:
    """Return "1,250.00" with a true minus and every decimal, for columns of one currency."""
    exact = Money(amount_minor, currency).amount
    return (MINUS if exact < 0 else "") + number(abs(exact), exponent(currency))


def listed(parts: list[Any]) -> str:
    """Return "delivery, phone call and store" as this language joins a list."""
    return format_list([str(part) for part in parts], style="standard", locale=_language())


def _language() -> str:
    locale = get_locale() if has_app_context() else None
    return locale.language if locale else "en"


FILTERS: dict[str, Callable[..., str]] = {
    filter_.__name__: filter_
    for filter_ in (
        digits,
        isolated,
        day,
        time,
        iso,
        moment,
        by_when,
        duration,
        left,
        ago,
        number,
        signed,
        percent,
        money,
        amount,
        listed,
    )
}
