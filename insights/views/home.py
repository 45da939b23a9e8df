"""Home, by role: what this person should look at first, and what went well."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from flask import Blueprint, g, render_template
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext as _n
from flask_login import current_user
from markupsafe import Markup

from accounts import visibility
from core import access, clock, formats
from core.frame import Entry
from feedback.queues import CAP, Count, Filters
from insights import comments, gestures, journey, metrics, pictures, rates, recovery, trends, troubles, words
from insights import day as days
from insights.day import Day
from insights.journey import Stop
from insights.metrics import Asked
from surveys.scoring import Metric

blueprint = Blueprint("home", __name__)
entry = Entry("home.home", _l("Home"), "home", "home.see", 1)
NUMBERS: Final = (
    _l("none"),
    _l("one"),
    _l("two"),
    _l("three"),
    _l("four"),
    _l("five"),
    _l("six"),
    _l("seven"),
    _l("eight"),
    _l("nine"),
    _l("ten"),
    _l("eleven"),
    _l("twelve"),
)
HOMES: Final = (
    ("staff.manage", "administrator"),
    ("cases.assign", "lead"),
    ("cases.work", "agent"),
    ("incentives.edit", "marketer"),
    ("home.see", "analyst"),
)


@blueprint.get("/")
@access.needs("home.see")
def home() -> str:
    """Show the first home whose permission this person has."""
    now = clock.now()
    name = next(name for permission, name in HOMES if current_user.may(permission))
    shown = {"administrator": _administrator, "lead": _lead, "agent": _agent, "marketer": _marketer}.get(name, _analyst)
    return render_template(f"home/{name}.html", now=now, **shown(now))


def _lead(now: datetime) -> dict[str, Any]:
    today = days.day(current_user, Filters(), now=now)
    g.open_cases = today.counted.queues["all"].shown
    return {
        "greeting": greeting(now),
        "lede": _lead_lede(today),
        "day": today,
        "mended": days.mended(current_user, now=now),
        "team": days.team(current_user),
        "worse": next((stop for stop in _changed(now) if stop.direction < 0), None),
        "words": words,
    }


def _agent(now: datetime) -> dict[str, Any]:
    today = days.day(current_user, Filters(owner="me"), now=now)
    g.open_cases = today.counted.queues["all"].shown
    busiest = days.team(current_user).busiest
    nothing = _("Nothing waits for you, %(name)s.", name=current_user.first_name)
    return {
        "greeting": nothing if today.is_empty else greeting(now),
        "lede": _agent_lede(today, days.kept_today(current_user, now=now), now),
        "day": today,
        "mended": days.mended(current_user, now=now, own=True),
        "busiest": busiest,
        "help": _n(
            "%(name)s has %(count)s case.",
            "%(name)s has %(count)s cases.",
            busiest.open,
            name=busiest.staff.first_name,
            count=spelled(busiest.open),
        )
        if busiest
        else "",
    }


def _marketer(now: datetime) -> dict[str, Any]:
    asked = _last_90(now)
    waiting, running = gestures.waiting(current_user), gestures.running(current_user, now=now)
    return {
        "greeting": greeting(now),
        "lede": _marketer_lede(len(waiting), running),
        "waiting": waiting[: gestures.SHOWN],
        "running": running,
        "drafts": gestures.drafts(current_user),
        "figure": metrics.report(asked).figure,
        "answered": rates.rates(asked).together,
        "words": words,
    }


def _analyst(now: datetime) -> dict[str, Any]:
    asked, changed = _last_90(now), _changed(now)
    over_time = trends.trend(asked)
    return {
        "greeting": greeting(now),
        "lede": _analyst_lede(len(changed)),
        "worse": [stop for stop in changed if stop.direction < 0],
        "better": [stop for stop in changed if stop.direction > 0],
        "figure": metrics.report(asked).figure,
        "won": recovery.won_back(asked).won,
        "kept": recovery.promises(asked).kept,
        "answered": rates.rates(asked).together,
        "words": words,
        "trend": pictures.trend(over_time, asked.metric),
        "trend_rows": pictures.trend_rows(over_time, asked.metric),
        "told": over_time.told,
        "finding": words.trend(over_time, asked.metric),
        "comments": comments.newest(asked, limit=4),
    }


def _administrator(now: datetime) -> dict[str, Any]:
    found, today = troubles.troubles(now=now), days.day(current_user, Filters(), now=now)
    quiet = _("Everything runs: no work was given up, and no message is stuck.")
    g.open_cases = today.counted.queues["all"].shown
    return {
        "greeting": greeting(now),
        "lede": quiet if found.none else _("Something behind the pages needs a look."),
        "troubles": found,
        "shown": troubles.shown,
        "day": today,
        "mended": days.mended(current_user, now=now),
    }


# What they say


def greeting(now: datetime) -> str:
    """Return a greeting by the reader's time of day."""
    hour = formats.local(now).hour
    name = current_user.first_name
    if 5 <= hour < 12:
        return _("Good morning, %(name)s.", name=name)
    if 12 <= hour < 18:
        return _("Good afternoon, %(name)s.", name=name)
    return _("Good evening, %(name)s.", name=name)


def spelled(count: int | Count) -> str:
    """Return a number to twelve in words, a larger one in digits, and "99+" beyond what was counted."""
    number = count.number if isinstance(count, Count) else count
    if number > CAP:
        return f"{CAP}+"
    return str(NUMBERS[number]) if number < len(NUMBERS) else formats.number(number)


def _sentence(text: str) -> str:
    start = text.index(">") + 1 if text.startswith("<") else 0
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def _lead_lede(today: Day) -> str:
    late, due, promised = today.late_count, today.today_count, today.promise_count
    parts = [_late(late)] if late.number else []
    if due.number:
        parts.append(_due_today(due, more=bool(late.number)))
        if promised.number:
            parts.append(
                _n(
                    "<b>%(count)s</b> of those is a promise.",
                    "<b>%(count)s</b> of those are promises.",
                    promised.number,
                    count=spelled(promised),
                )
            )
    if not parts:
        return _("Nothing is due today. Every promise so far is kept.")
    return Markup(" ".join(_sentence(part) for part in parts))  # noqa: S704  # numbers in sentences of ours


def _due_today(due: Count, *, more: bool) -> str:
    count = spelled(due)
    if more:
        return _n(
            "<b>%(count)s more</b> is due today.", "<b>%(count)s more</b> are due today.", due.number, count=count
        )
    return _n("<b>%(count)s</b> case is due today.", "<b>%(count)s</b> cases are due today.", due.number, count=count)


def _late(late: Count) -> str:
    return _n(
        "%(count)s customer has waited longer than we promised.",
        "%(count)s customers have waited longer than we promised.",
        late.number,
        count=spelled(late),
    )


def _agent_lede(today: Day, kept: int, now: datetime) -> str:
    parts = [_late(today.late_count)] if today.late else []
    if kept:
        parts.append(
            _n("You kept %(count)s promise today.", "You kept %(count)s promises today.", kept, count=spelled(kept))
        )
    following = (today.coming or today.later)[:1]
    if following:
        parts.append(_("The next case is due %(when)s.", when=formats.moment(following[0].due_at, now)))
    elif not today.late:
        parts.append(_("No open case is yours."))
    return " ".join(_sentence(part) for part in parts)


def _marketer_lede(waiting: int, running: list[gestures.Budget]) -> str:
    parts = []
    if waiting:
        parts.append(
            _n(
                "%(count)s gesture waits for your yes.",
                "%(count)s gestures wait for your yes.",
                waiting,
                count=spelled(waiting) if waiting <= gestures.SHOWN else _("More than four"),
            )
        )
    short = [each for each in running if each.is_short]
    names = formats.listed([each.programme.name for each in short])
    if short:
        parts.append(_("%(name)s: less than a tenth of the budget is left.", name=names))
    elif running:
        parts.append(_("Every running programme is within its budget."))
    else:
        parts.append(_("No programme is running."))
    return " ".join(_sentence(part) for part in parts)


def _analyst_lede(changed: int) -> str:
    if not changed:
        return _("Nothing changed more than chance explains.")
    told = _n(
        "%(count)s thing changed more than chance explains. Everything else is steady.",
        "%(count)s things changed more than chance explains. Everything else is steady.",
        changed,
        count=spelled(changed),
    )
    return _sentence(told)


def _last_90(now: datetime) -> Asked:
    brand_id, today = visibility.brand_of(current_user), formats.local(now).date()
    return Asked(Metric.NPS, today - timedelta(days=89), today, brand_ids=() if brand_id is None else (brand_id,))


def _changed(now: datetime) -> list[Stop]:
    return journey.changed_lately(_last_90(now), journey.places(visibility.brand_of(current_user)))
