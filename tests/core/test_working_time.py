from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.working_time import ALWAYS, Calendar, Interval, NoWorkingTime, add, between, local_moment

HOUR = timedelta(hours=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu")
# Moments in and around the weeks in which those zones change their clocks, and any other moment of those years.
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
)


def hours(*pairs: tuple[str, str]) -> tuple[Interval, ...]:
    return tuple(Interval.from_json(pair) for pair in pairs)


def office(zone: str = "Europe/Berlin", *pairs: tuple[str, str], closed_on: frozenset[date] = frozenset()) -> Calendar:
    """Monday to Friday, nine to six unless told otherwise."""
    return Calendar(zone, (hours(*(pairs or (("09:00", "18:00"),))),) * 5 + ((), ()), closed_on)


def every_day(zone: str, *pairs: tuple[str, str]) -> Calendar:
    return Calendar(zone, (hours(*pairs),) * 7)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Interval, ...]:
    """Up to three intervals of one day that do not overlap, possibly touching, the last one possibly up to 24:00."""
    minutes = sorted(draw(st.lists(st.integers(0, 1440), unique=True, max_size=6)))
    pairs = zip(minutes[::2], minutes[1::2], strict=False)
    return tuple(Interval(time(a // 60, a % 60), time(b // 60 % 24, b % 60)) for a, b in pairs)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    weekly = draw(st.tuples(*[intervals()] * 7))
    assume(any(weekly))
    closed = draw(st.frozensets(st.dates(date(2026, 3, 20), date(2026, 4, 10)), max_size=5))
    return Calendar(draw(st.sampled_from(ZONES)), weekly, closed)


moments = st.one_of(
    st.builds(
        lambda at, minutes: at + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-6 * 1440, 6 * 1440)
    ),
    st.datetimes(datetime(2018, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
work = st.integers(0, 14 * 86400).map(lambda seconds: timedelta(seconds=seconds))


# Adding and counting


def test_work_that_does_not_fit_today_ends_tomorrow() -> None:
    friday = utc(2026, 1, 16, 16)  # 17:00 in Berlin

    assert add(friday, 4 * HOUR, office()) == utc(2026, 1, 19, 11)  # an hour on Friday, three on Monday


def test_work_that_fills_the_day_ends_at_closing_and_not_at_the_next_opening() -> None:
    assert add(utc(2026, 1, 16, 16), HOUR, office()) == utc(2026, 1, 16, 17)


def test_work_over_a_lunch_break_counts_only_the_hours_around_it() -> None:
    calendar = office("Europe/Berlin", ("09:00", "12:30"), ("13:15", "18:00"))

    assert add(utc(2026, 1, 14, 11), HOUR, calendar) == utc(2026, 1, 14, 12, 45)
    assert between(utc(2026, 1, 14, 11), utc(2026, 1, 14, 12, 45), calendar) == HOUR


def test_a_closed_day_has_no_working_time() -> None:
    calendar = office(closed_on=frozenset({date(2026, 1, 15)}))

    assert add(utc(2026, 1, 14, 16), 2 * HOUR, calendar) == utc(2026, 1, 16, 9)
    assert between(utc(2026, 1, 15), utc(2026, 1, 16), calendar) == timedelta(0)


def test_a_night_shift_is_two_intervals_that_join_at_midnight() -> None:
    calendar = every_day("Europe/Berlin", ("22:00", "24:00"), ("00:00", "06:00"))

    assert add(utc(2026, 1, 14, 21), 8 * HOUR, calendar) == utc(2026, 1, 15, 5)


def test_around_the_clock_is_plain_time() -> None:
    start = utc(2026, 3, 28, 12, 34)

    assert add(start, timedelta(days=40, seconds=7), ALWAYS) == start + timedelta(days=40, seconds=7)
    assert between(start, start + timedelta(days=400), ALWAYS) == timedelta(days=400)


def test_answers_are_in_utc_whatever_zone_was_given() -> None:
    start = datetime(2026, 1, 14, 10, tzinfo=ZoneInfo("Asia/Tokyo"))

    found = add(start, HOUR, office())

    assert found == utc(2026, 1, 14, 9)
    assert found.tzinfo is UTC


def test_no_work_is_over_at_once_even_when_closed() -> None:
    sunday = utc(2026, 1, 18, 3)

    assert add(sunday, timedelta(0), office()) == sunday


@given(calendars(), moments, work)
def test_counting_undoes_adding(calendar: Calendar, start: datetime, amount: timedelta) -> None:
    assert between(start, add(start, amount, calendar), calendar) == amount


@given(calendars(), moments, st.integers(0, 40 * 1440))
def test_adding_what_was_counted_never_overshoots_and_lands_exactly_when_open(
    calendar: Calendar, start: datetime, minutes: int
) -> None:
    end = start + timedelta(minutes=minutes)

    found = add(start, between(start, end, calendar), calendar)

    assert found <= end
    assert between(found, end, calendar) == timedelta(0)
    if calendar.is_open(end) and found != end:
        assert calendar.next_open(found) == end  # both name the same instant of the working clock: closing and opening


@given(calendars(), moments, work, work)
def test_more_work_never_ends_earlier_and_adds_up(
    calendar: Calendar, start: datetime, some: timedelta, more: timedelta
) -> None:
    first = add(start, some, calendar)

    both = add(start, some + more, calendar)

    assert first <= both
    assert add(first, more, calendar) == both


@given(calendars(), moments, st.integers(0, 20 * 1440), work)
def test_a_later_start_never_ends_earlier(calendar: Calendar, start: datetime, minutes: int, amount: timedelta) -> None:
    later = start + timedelta(minutes=minutes)

    assert add(start, amount, calendar) <= add(later, amount, calendar)


@given(calendars(), moments, st.integers(0, 9 * 1440), st.integers(0, 9 * 1440))
def test_counting_adds_up_over_any_cut(calendar: Calendar, start: datetime, first: int, second: int) -> None:
    cut = start + timedelta(minutes=first)
    end = cut + timedelta(minutes=second)

    assert between(start, cut, calendar) + between(cut, end, calendar) == between(start, end, calendar)


@given(calendars(), moments)
@example(every_day("America/Sao_Paulo", ("00:00", "24:00")), datetime(2018, 2, 18, 2, 30, tzinfo=UTC))
def test_the_next_opening_is_open_and_nothing_before_it_is(calendar: Calendar, at: datetime) -> None:
    opens = calendar.next_open(at)

    assert calendar.is_open(opens)
    assert (opens == at) == calendar.is_open(at)
    assert between(at, opens, calendar) == timedelta(0)


@given(calendars(), moments, st.integers(0, 9 * 1440))
def test_intervals_come_in_order_apart_and_inside_what_was_asked(
    calendar: Calendar, start: datetime, minutes: int
) -> None:
    end = start + timedelta(minutes=minutes)

    edges = [edge for pair in calendar.intervals(start, end) for edge in pair]

    assert edges == sorted(edges)
    assert all(start <= edge <= end for edge in edges)
    assert all(opens < closes for opens, closes in calendar.intervals(start, end))


@given(calendars(), moments)
def test_a_moment_is_open_exactly_when_its_wall_time_is(calendar: Calendar, at: datetime) -> None:
    local = at.astimezone(ZoneInfo(calendar.zone))
    repeated = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    assume(not repeated)  # an interval that ends inside the hour that comes twice ends the first time

    def inside(each: Interval) -> bool:
        return each.start <= local.time() and (each.end == time(0) or local.time() < each.end)

    assert calendar.is_open(at) == (
        local.date() not in calendar.closed_on and any(map(inside, calendar.weekly[local.weekday()]))
    )


# When the clocks change


@pytest.mark.parametrize(
    ("zone", "day", "skipped", "length"),
    [
        ("Europe/Berlin", date(2026, 3, 29), HOUR, 23),
        ("Europe/Berlin", date(2026, 10, 25), -HOUR, 25),
        ("America/New_York", date(2026, 3, 8), HOUR, 23),
        ("America/New_York", date(2026, 11, 1), -HOUR, 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), HOUR / 2, 23.5),
        ("Australia/Lord_Howe", date(2026, 4, 5), -HOUR / 2, 24.5),
    ],
)
def test_a_whole_day_is_as_long_as_it_really_is(zone: str, day: date, skipped: timedelta, length: float) -> None:
    start, end = local_moment(day, time(0), zone), local_moment(day + timedelta(days=1), time(0), zone)
    early_shift = every_day(zone, ("01:00", "09:00"))

    assert between(start, end, every_day(zone, ("00:00", "24:00"))) == length * HOUR
    assert between(start, end, early_shift) == 8 * HOUR - skipped
    assert add(start, 8 * HOUR - skipped, early_shift) == local_moment(day, time(9), zone)
    assert between(start, end, every_day(zone, ("09:00", "18:00"))) == 9 * HOUR


@pytest.mark.parametrize(
    ("zone", "day", "wall", "expected"),
    [
        ("Europe/Berlin", date(2026, 3, 29), time(1, 59), utc(2026, 3, 29, 0, 59)),
        ("Europe/Berlin", date(2026, 3, 29), time(2, 0), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", date(2026, 3, 29), time(2, 30), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", date(2026, 3, 29), time(2, 59, 59, 999999), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", date(2026, 3, 29), time(3, 0), utc(2026, 3, 29, 1, 0)),
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), utc(2026, 10, 25, 0, 30)),
        ("Europe/Berlin", date(2026, 10, 25), time(3, 0), utc(2026, 10, 25, 2, 0)),
        ("America/New_York", date(2026, 3, 8), time(2, 45), utc(2026, 3, 8, 7, 0)),
        ("America/New_York", date(2026, 11, 1), time(1, 15), utc(2026, 11, 1, 5, 15)),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), utc(2026, 10, 3, 15, 30)),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), utc(2026, 4, 4, 14, 45)),
        ("America/Sao_Paulo", date(2018, 11, 4), time(0, 0), utc(2018, 11, 4, 3, 0)),
        ("Pacific/Apia", date(2011, 12, 30), time(12, 0), utc(2011, 12, 30, 10, 0)),
    ],
)
def test_a_skipped_wall_time_is_the_first_valid_moment_and_a_repeated_one_its_first(
    zone: str, day: date, wall: time, expected: datetime
) -> None:
    assert local_moment(day, wall, zone) == expected


@given(st.sampled_from(ZONES), st.dates(date(2018, 1, 1), date(2027, 1, 1)), st.times())
def test_a_wall_time_that_exists_reads_the_same_back(zone: str, day: date, wall: time) -> None:
    moment = local_moment(day, wall, zone)

    seen = moment.astimezone(ZoneInfo(zone))

    assert seen.fold == 0
    assert seen.replace(tzinfo=None) >= datetime.combine(day, wall)
    if seen.replace(tzinfo=None) != datetime.combine(day, wall):  # in a gap: a moment earlier the old offset still held
        assert (moment - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset() != seen.utcoffset()


def test_an_interval_that_crosses_the_gap_loses_the_hour_that_was_not_there() -> None:
    calendar = every_day("Europe/Berlin", ("01:30", "04:00"))

    found = list(calendar.intervals(utc(2026, 3, 29), utc(2026, 3, 30)))[0]

    assert found == (utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 2))


def test_an_interval_that_begins_in_the_gap_begins_when_the_gap_ends() -> None:
    calendar = every_day("Europe/Berlin", ("02:30", "04:00"))

    assert calendar.next_open(utc(2026, 3, 29)) == utc(2026, 3, 29, 1)


def test_an_interval_wholly_in_the_gap_does_not_happen_that_day() -> None:
    calendar = every_day("Europe/Berlin", ("02:10", "02:50"))

    assert calendar.next_open(utc(2026, 3, 28, 12)) == utc(2026, 3, 30, 0, 10)


def test_an_interval_over_the_repeated_hour_is_an_hour_longer() -> None:
    calendar = every_day("Europe/Berlin", ("01:00", "04:00"))

    assert between(utc(2026, 10, 24, 22), utc(2026, 10, 25, 12), calendar) == 4 * HOUR


def test_an_interval_that_ends_in_the_repeated_hour_ends_the_first_time() -> None:
    calendar = every_day("Europe/Berlin", ("01:00", "02:30"))

    assert between(utc(2026, 10, 24, 22), utc(2026, 10, 25, 12), calendar) == 1.5 * HOUR


def test_clocks_set_back_over_midnight_leave_no_hole() -> None:
    toronto = every_day("America/Toronto", ("00:00", "24:00"))
    start = utc(2005, 10, 28)

    assert between(start, start + timedelta(days=4), toronto) == timedelta(days=4)
    st_johns = every_day("America/St_Johns", ("00:00", "24:00"))  # until 2011 its clocks changed at 00:01
    for minute in range(0, 180, 7):
        assert st_johns.is_open(utc(2010, 11, 7, 1) + timedelta(minutes=minute))


# Refusals


def test_a_calendar_that_never_opens_is_refused_when_it_is_used() -> None:
    never = Calendar("UTC", ((),) * 7)

    with pytest.raises(NoWorkingTime, match="366 days"):
        add(utc(2026, 1, 1), HOUR, never)
    with pytest.raises(NoWorkingTime):
        never.next_open(utc(2026, 1, 1))
    assert between(utc(2026, 1, 1), utc(2027, 1, 1), never) == timedelta(0)


def test_a_calendar_closed_for_a_year_and_a_day_is_refused_and_one_day_less_is_not() -> None:
    shut = frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(367))

    with pytest.raises(NoWorkingTime):
        add(utc(2026, 1, 1), HOUR, Calendar("UTC", ALWAYS.weekly, shut))
    assert add(utc(2026, 1, 1), HOUR, Calendar("UTC", ALWAYS.weekly, shut - {date(2027, 1, 1)})) == utc(2027, 1, 1, 1)


def test_work_at_the_end_of_all_dates_is_refused_and_not_an_overflow() -> None:
    with pytest.raises(NoWorkingTime):
        add(utc(9999, 12, 28), timedelta(days=30), ALWAYS)


def test_a_backward_or_naive_or_negative_question_is_refused() -> None:
    with pytest.raises(ValueError, match="before the start"):
        between(utc(2026, 1, 2), utc(2026, 1, 1), ALWAYS)
    with pytest.raises(ValueError, match="naive"):
        add(datetime(2026, 1, 1), HOUR, ALWAYS)
    with pytest.raises(ValueError, match="not taken away"):
        add(utc(2026, 1, 1), -HOUR, ALWAYS)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]}}, "On mon.*overlap"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["09:00", "24:00"], ["09:00", "10:00"]]}}, "overlap"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["18:00", "09:00"]]}}, "must end after"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["09:00", "09:00"]]}}, "must end after"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["24:00", "24:00"]]}}, "not start there"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["9:00", "18:00"]]}}, "not a time of day"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["09:00", "24:30"]]}}, "not a time of day"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": [["09:00"]]}}, "are a pair"),
        ({"zone": "Europe/Berlin", "weekly": {"mon": "09:00-18:00"}}, "are a list"),
        ({"zone": "Europe/Berlin", "weekly": {"monday": []}}, "by day"),
        ({"zone": "Europe/Berlin", "weekly": []}, "by day"),
        ({"zone": "Europe/Atlantis", "weekly": {}}, "not a time zone"),
        ({"zone": "../etc/passwd", "weekly": {}}, "not a time zone"),
        ({"zone": None, "weekly": {}}, "not a time zone"),
        ({"zone": "", "weekly": {}}, "not a time zone"),
        ({"zone": "UTC", "weekly": {}, "closed_on": ["25.12.2026"]}, "not a date"),
        ({"zone": "UTC", "weekly": {}, "closed_on": "2026-12-25"}, "list of dates"),
        ({"zone": "UTC", "weekly": {}, "holidays": "DE"}, "nothing else"),
        ({"zone": "UTC"}, "weekly hours"),
        ([], "weekly hours"),
    ],
)
def test_a_malformed_calendar_is_refused_with_a_sentence(data: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Calendar.from_json(data)


def test_a_week_of_six_days_and_hours_with_seconds_are_refused() -> None:
    with pytest.raises(ValueError, match="seven days"):
        Calendar("UTC", ((),) * 6)
    with pytest.raises(ValueError, match="whole minutes"):
        Interval(time(9, 0, 1), time(10))


# Shape


@given(calendars())
def test_json_reads_back_as_the_same_calendar(calendar: Calendar) -> None:
    assert Calendar.from_json(calendar.to_json()) == calendar


def test_json_has_the_documented_shape() -> None:
    data = {
        "zone": "Europe/Berlin",
        "weekly": {"mon": [["13:00", "24:00"], ["09:00", "12:00"]]},
        "closed_on": ["2026-12-26", "2026-12-25"],
    }

    shape = Calendar.from_json(data).to_json()

    assert shape["weekly"] | {"mon": None} == dict.fromkeys(("tue", "wed", "thu", "fri", "sat", "sun"), []) | {
        "mon": None
    }
    assert shape["weekly"]["mon"] == [["09:00", "12:00"], ["13:00", "24:00"]]
    assert shape["closed_on"] == ["2026-12-25", "2026-12-26"]


# Holidays


def test_public_holidays_close_the_days_and_keep_the_ones_already_closed() -> None:
    calendar = office(closed_on=frozenset({date(2026, 8, 14)})).with_holidays("DE", [2026, 2027])

    assert {date(2026, 8, 14), date(2026, 12, 25), date(2027, 1, 1)} <= calendar.closed_on
    assert date(2026, 1, 6) not in calendar.closed_on  # Epiphany, in three states only
    assert all(day.year in (2026, 2027) for day in calendar.closed_on)


def test_a_region_has_its_own_holidays() -> None:
    assert date(2026, 1, 6) in office().with_holidays("DE", [2026], subdivision="BY").closed_on


@pytest.mark.parametrize(("country", "subdivision"), [("XX", None), ("DE", "QQ"), ("", None)])
def test_holidays_of_an_unknown_place_are_refused(country: str, subdivision: str | None) -> None:
    with pytest.raises(ValueError, match="no public holidays known"):
        office().with_holidays(country, [2026], subdivision=subdivision)
