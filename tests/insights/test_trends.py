from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from core import clock
from core.db import db
from insights import journey, pictures, rollups, trends, words
from insights.asking import Compare
from insights.journey import Place, Stop
from insights.trends import Moment, Trend
from surveys import scoring, versions, wordings
from surveys.models import Equivalence
from surveys.scoring import Metric
from tests.factories import make_touchpoint
from tests.insights.conftest import TODAY, Shop

WORSE, BETTER = {0: 40, 10: 60}, {0: 10, 10: 90}


def publish(shop: Shop, days_ago: int, *, wording: str | None) -> None:
    """Publish another version, with another wording of the score or only another follow-up."""
    data: dict[str, Any] = versions.current(shop.survey.id).definition
    questions = [dict(question) for question in data["questions"]]
    changed = questions[0] if wording else questions[1]
    changed["text"] = {**changed["text"], "en": wording or "What was it?"}
    at = datetime.combine(TODAY - timedelta(days=days_ago), time(9), UTC)
    versions.draft(shop.survey, {**data, "questions": questions}, by="system", now=at)
    versions.publish(shop.survey, by="system", now=at)
    db.session.flush()


def daily(shop: Shop, days: int, score: int = 9) -> None:
    for back in range(days):
        shop.answer([score, score], on=TODAY - timedelta(days=back))
    rollups.fold(now=clock.now())


def test_a_new_wording_of_the_score_breaks_the_trend(shop: Shop) -> None:
    publish(shop, 10, wording="Would you tell a friend about {brand}?")

    [change] = trends.wording_changes(shop.asked())

    assert (change.day, change.number, change.survey) == (TODAY - timedelta(days=10), 2, shop.survey.name)


def test_many_versions_of_the_same_wording_hide_no_other_one(shop: Shop) -> None:
    publish(shop, 20, wording="Would you tell a friend about {brand}?")
    for days_ago in range(19, 5, -1):
        publish(shop, days_ago, wording=None)

    assert [change.number for change in trends.wording_changes(shop.asked())] == [2]


def test_a_version_that_changes_only_a_follow_up_breaks_nothing(shop: Shop) -> None:
    publish(shop, 10, wording=None)

    assert trends.wording_changes(shop.asked()) == []


def test_a_new_wording_before_the_period_is_no_break_in_it(shop: Shop) -> None:
    publish(shop, 80, wording="Would you tell a friend about {brand}?")

    assert trends.wording_changes(shop.asked(days=30)) == []


def test_the_line_starts_anew_and_its_mark_is_drawn(shop: Shop) -> None:
    publish(shop, 10, wording="Would you tell a friend about {brand}?")
    daily(shop, 60)

    found = trends.trend(shop.asked())
    drawing = pictures.trend(found, Metric.NPS)

    broken = [moment for moment in found.moments if moment.breaks]
    assert len(broken) == 1
    assert TODAY - timedelta(days=10) <= broken[0].day < TODAY - timedelta(days=8)
    assert broken[0].figure.n <= 4, "answers to the older wording are in no window after it"
    assert [mark.text for mark in drawing.marks] == ["New wording, 21 Mar"]


def test_declared_equivalent_the_line_goes_on_and_is_not_marked(shop: Shop) -> None:
    publish(shop, 10, wording="Would you tell a friend about {brand}?")
    daily(shop, 60)
    newer = versions.current(shop.survey.id)
    wordings.declare(shop.survey, newer, Metric.NPS, why="The same.", by="staff:1", now=clock.now())

    found = trends.trend(shop.asked())
    drawing = pictures.trend(found, Metric.NPS)

    assert [change.equivalent for change in found.changes] == [True]
    assert not any(moment.breaks for moment in found.moments)
    assert all(moment.figure.n == 56 for moment in found.moments), "every window holds its 28 days"
    assert drawing.marks == []


def test_a_declaration_about_one_score_leaves_another_ones_break(shop: Shop) -> None:
    publish(shop, 10, wording="Would you tell a friend about {brand}?")
    newer = versions.current(shop.survey.id)
    db.session.add(
        Equivalence(
            survey_id=shop.survey.id,
            version_id=newer.id,
            metric="csat",
            why="Another.",
            declared_at=clock.now(),
            declared_by="staff:1",
        )
    )
    db.session.flush()

    assert [change.equivalent for change in trends.wording_changes(shop.asked())] == [False]


def test_a_year_has_at_most_27_moments_whole_weeks_apart(shop: Shop) -> None:
    found = trends.trend(shop.asked(days=365))

    gaps = {(later.day - earlier.day).days for earlier, later in zip(found.moments, found.moments[1:], strict=False)}
    assert len(found.moments) <= 27
    assert gaps == {14}
    assert found.moments[-1].day == TODAY


def test_where_answers_are_too_few_nothing_is_drawn(shop: Shop) -> None:
    daily(shop, 5)

    found = trends.trend(shop.asked())

    assert found.told == []
    assert pictures.trend(found, Metric.NPS).lines == []
    assert words.trend(found, Metric.NPS) == "There are too few answers for a trend."


def moments(*values: dict[int, int]) -> Trend:
    found = [
        Moment(TODAY - timedelta(days=28 * back), scoring.nps(counts), breaks=False)
        for back, counts in enumerate(reversed(values))
    ]
    return Trend(found[::-1], [])


def test_a_trend_is_said_to_rise_or_fall_only_when_the_difference_says_so(shop: Shop) -> None:
    assert words.trend(moments(WORSE, BETTER), Metric.NPS) == "Rises from +20 on 3 Mar to +80 on 31 Mar."
    assert words.trend(moments(BETTER, WORSE), Metric.NPS) == "Falls from +80 on 3 Mar to +20 on 31 Mar."
    same = words.trend(moments(BETTER, {0: 11, 10: 89}), Metric.NPS)
    assert same == "From +80 on 3 Mar to +78 on 31 Mar: no clear change."


def test_a_rise_is_called_real_only_when_its_interval_leaves_zero_out(shop: Shop) -> None:
    def said(now: dict[int, int], before: dict[int, int]) -> str:
        a, b = scoring.nps(now), scoring.nps(before)
        return words.compared(a, b, scoring.difference(a, b), Compare.BEFORE)

    assert said(BETTER, WORSE) == "Before +20. The rise is real, not noise."
    assert said(WORSE, BETTER) == "Before +80. The fall is real, not noise."
    assert said({0: 9, 10: 91}, BETTER) == "Before +80. The difference could be chance."
    assert said(BETTER, {10: 12}) == "Before there were too few answers to compare: 12."


def stop(now: dict[int, int], before: dict[int, int], looks: int) -> Stop:
    place = Place(1, "delivery", "Delivery", "box", 1, "Delivery", 1, archived=False)
    return Stop(place, scoring.nps(now), scoring.nps(before), looks)


def test_one_of_many_touchpoints_needs_more_to_stand_out_than_one_alone() -> None:
    now, before = {0: 30, 10: 30}, {0: 50, 10: 110}

    alone, among_many = stop(now, before, looks=1), stop(now, before, looks=40)

    assert alone.difference is not None
    assert alone.difference.different
    assert (alone.direction, among_many.direction) == (-1, 0)


def test_another_wording_raises_no_alarm_and_answers_to_the_same_one_still_do(shop: Shop) -> None:
    shop.answer([10] * 60, on=TODAY - timedelta(days=60))
    publish(shop, 40, wording="Would you tell a friend about {brand}?")
    newer = versions.current(shop.survey.id).id
    shop.answer([0] * 40, on=TODAY - timedelta(days=2), version_id=newer)
    rollups.fold(now=clock.now())
    reworded = journey.changed_lately(shop.asked(), journey.places(None))
    shop.answer([10] * 60, on=TODAY - timedelta(days=30), version_id=newer)
    rollups.fold(now=clock.now())

    [worse] = journey.changed_lately(shop.asked(), journey.places(None))

    assert reworded == []
    assert (worse.direction, worse.before.n if worse.before else 0) == (-1, 60)


def test_declared_equivalent_answers_to_both_wordings_are_compared(shop: Shop) -> None:
    shop.answer([10] * 60, on=TODAY - timedelta(days=60))
    publish(shop, 40, wording="Would you tell a friend about {brand}?")
    newer = versions.current(shop.survey.id)
    shop.answer([0] * 40, on=TODAY - timedelta(days=2), version_id=newer.id)
    rollups.fold(now=clock.now())
    wordings.declare(shop.survey, newer, Metric.NPS, why="The same.", by="staff:1", now=clock.now())

    assert [each.direction for each in journey.changed_lately(shop.asked(), journey.places(None))] == [-1]


def test_the_map_is_told_by_its_lowest_and_its_highest_with_their_intervals() -> None:
    one, other, few = (stop(counts, {}, looks=3) for counts in (BETTER, WORSE, {0: 29}))

    said = words.journey([one, other, few])

    assert said == "Lowest Delivery +20 (+1 to +38); highest Delivery +80 (+66 to +90)."
    assert words.journey([one, few]) == ""


def test_lately_worse_names_the_touchpoint_and_nothing_else(shop: Shop) -> None:
    steady = make_touchpoint(shop.brand)
    for place, lately in ((shop.touchpoint, 0), (steady, 10)):
        shop.answer([lately] * 40, on=TODAY - timedelta(days=2), touchpoint_id=place.id)
        shop.answer([10] * 40, on=TODAY - timedelta(days=30), touchpoint_id=place.id)
    rollups.fold(now=clock.now())

    found = journey.changed_lately(shop.asked(), journey.places(None))

    assert [(each.place.id, each.direction) for each in found] == [(shop.touchpoint.id, -1)]
