"""Charts: every point inside its plane, gaps stay gaps, chips do not lie on each other."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.charts import Mark, Point, Trend, distribution, score_line, trend


def drawn(points: list[Point]) -> Trend:
    return trend(points, say="{:+g}".format, interval=lambda low, high: f"{low:g} to {high:g}")


def points_of(path: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_trend_without_an_answer_is_an_empty_plane() -> None:
    drawing = drawn([Point("1 Nov", None), Point("8 Nov", None)])

    assert (drawing.lines, drawing.bands, drawing.dots, drawing.last) == ([], [], [], None)


def test_the_line_breaks_where_there_were_too_few_answers() -> None:
    values = [10, 12, None, 14, 15]
    drawing = drawn([Point(str(week), value, 5, 20) for week, value in enumerate(values)])

    assert len(drawing.lines) == len(drawing.bands) == 2


def test_the_line_breaks_where_the_wording_changed() -> None:
    drawing = drawn([Point(str(week), 10, 5, 20, breaks=week == 2) for week in range(5)])

    assert len(drawing.lines) == 2


def test_a_value_that_stands_alone_is_a_dot() -> None:
    drawing = drawn([Point("1", 10, 5, 20), Point("2", None), Point("3", 12, 5, 20), Point("4", 12, 5, 20)])

    assert len(drawing.dots) == 2


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0, 40))
def test_every_line_and_band_stays_in_its_plane(values: list[float], doubt: float) -> None:
    drawing = drawn([Point("", value, max(value - doubt, -100), min(value + doubt, 100)) for value in values])

    for path in (*drawing.lines, *drawing.bands):
        for x, y in points_of(path):
            assert 34 <= x <= 576
            assert 13.9 <= y <= 278.1
    assert 1 <= len(drawing.grid) <= 8
    assert len(drawing.labels) <= 5


def test_columns_start_at_zero_and_the_tallest_fills_the_plane() -> None:
    counts = [("0", 10, "negative"), ("1", 0, "negative"), ("2", 20, "positive")]
    drawing = distribution(counts, groups={"negative": ("Detractors", "33%")}, say=str)

    assert [column.height for column in drawing.columns] == [68, 0, 136]
    assert {column.y + column.height for column in drawing.columns} == {152}


def test_a_distribution_of_nothing_does_not_divide_by_it() -> None:
    assert [column.height for column in distribution([("0", 0, "negative")], groups={}, say=str).columns] == [0]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_chips_do_not_lie_on_each_other(count: int) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    marks = [Mark(start + timedelta(minutes=index), index % 11, "neutral", str(index)) for index in range(count)]
    drawing = score_line(marks, names={"positive": "Promoter"})

    assert all(right.x - left.x >= 27 for left, right in pairwise(drawing.chips))
    assert all(chip.x <= drawing.width for chip in drawing.chips)


def test_only_an_answer_that_won_back_draws_a_seam() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    marks = [Mark(at, 2, "negative", "2"), Mark(at + timedelta(days=9), 9, "positive", "9", mends=True)]

    drawing = score_line(marks)

    assert (len(drawing.seams), len(drawing.threads)) == (1, 0)
