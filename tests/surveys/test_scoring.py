from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surveys.scoring import FEW, METRICS, SCALES, TOO_FEW, Figure, Metric, ces, csat, difference, figure, nps, wilson

SFO_2017 = {10: 872, 9: 564, 8: 677, 7: 291, 6: 130, 5: 144, 4: 18, 3: 19, 2: 8, 1: 6, 0: 17}
OLIST_2017 = {5: 1100, 4: 348, 3: 200, 2: 140, 1: 468}  # 1,448 of 2,256 with four or five


@st.composite
def counted(draw: st.DrawFn, metric: Metric | None = None, least: int = 0) -> tuple[Metric, dict[int, int]]:
    chosen = metric or draw(st.sampled_from(METRICS))
    scores = st.integers(*SCALES[chosen])
    counts = draw(st.dictionaries(scores, st.integers(0, draw(st.sampled_from([3, 40, 100_000])))))
    missing = least - sum(counts.values())
    if missing > 0:
        score = draw(scores)
        counts[score] = counts.get(score, 0) + missing
    return chosen, counts


# Against figures that others published


def test_nps_of_the_airport_survey_has_the_published_figure_and_interval() -> None:
    found = nps(SFO_2017)

    assert found.n == 2746
    assert (round(found.value or 0, 2), round(found.low or 0, 2), round(found.high or 0, 2)) == (39.84, 37.18, 42.41)
    assert found.few is False


def test_counting_the_code_for_blank_as_a_promoter_is_impossible() -> None:
    with pytest.raises(ValueError, match="11 is not a score of nps"):
        nps(SFO_2017 | {11: 84})


def test_csat_of_the_order_reviews_has_the_published_figure_and_interval() -> None:
    found = csat(OLIST_2017)

    assert found.to_json() == {
        "metric": "csat",
        "n": 2256,
        "value": 64.18,
        "low": 62.18,
        "high": 66.14,
        "few": False,
    }


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_the_difference_of_shares_gives_newcombes_table() -> None:
    def share(k: int, n: int) -> Figure:
        low, high = wilson(k, n)
        return Figure(Metric.CSAT, n, 100 * k / n, 100 * low, 100 * high, few=False)

    found = difference(share(56, 70), share(48, 80))

    assert found.value == pytest.approx(20.0)
    assert (found.low, found.high) == (pytest.approx(5.24, abs=0.01), pytest.approx(33.39, abs=0.01))
    assert found.different


def test_ces_gives_the_share_of_five_to_seven_and_the_mean_beside_it() -> None:
    found = ces({1: 10, 4: 10, 5: 20, 7: 60})

    assert (found.n, found.value) == (100, 80.0)
    assert found.mean == pytest.approx(5.7)
    spread = math.sqrt((10 * 4.7**2 + 10 * 1.7**2 + 20 * 0.7**2 + 60 * 1.3**2) / 99)
    assert found.mean_high == pytest.approx(5.7 + 1.959964 * spread / 10)
    assert found.mean_low == pytest.approx(5.7 - 1.959964 * spread / 10)
    assert set(found.to_json()) == {
        "metric",
        "n",
        "value",
        "low",
        "high",
        "few",
        "mean",
        "mean_low",
        "mean_high",
    }


# Few answers


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_of_four_answers_is_withheld_and_one_of_five_given(metric: Metric) -> None:
    best = SCALES[metric][-1]

    four, five = figure(metric, {best: TOO_FEW - 1}), figure(metric, {best: TOO_FEW})

    assert (four.n, four.value, four.low, four.high, four.few) == (4, None, None, None, True)
    assert (five.n, five.value, five.few) == (5, 100.0, True)


@pytest.mark.parametrize("metric", METRICS)
def test_thirty_answers_are_no_longer_few(metric: Metric) -> None:
    best = SCALES[metric][-1]

    assert figure(metric, {best: FEW - 1}).few
    assert not figure(metric, {best: FEW}).few


def test_the_mean_of_four_answers_is_withheld_too() -> None:
    assert (ces({7: 4}).mean, ces({7: 4}).mean_low, ces({7: 4}).mean_high) == (None, None, None)


def test_no_answers_are_no_score_and_not_zero() -> None:
    assert nps({}).to_json() == {"metric": "nps", "n": 0, "value": None, "low": None, "high": None, "few": True}


# What always holds


@given(counted(least=TOO_FEW))
def test_a_figure_lies_within_its_interval_and_the_interval_within_the_range(
    case: tuple[Metric, dict[int, int]],
) -> None:
    metric, counts = case

    found = figure(metric, counts)

    least = -100 if metric is Metric.NPS else 0
    assert found.value is not None and found.low is not None and found.high is not None
    assert least <= found.low <= found.high <= 100
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9


@given(counted(least=TOO_FEW), st.integers(2, 50))
def test_more_answers_of_the_same_kind_narrow_the_interval_and_keep_the_figure(
    case: tuple[Metric, dict[int, int]], times: int
) -> None:
    metric, counts = case

    one, many = figure(metric, counts), figure(metric, {score: count * times for score, count in counts.items()})

    assert many.value == pytest.approx(one.value)
    assert one.low is not None and one.high is not None and many.low is not None and many.high is not None
    assert many.high - many.low <= one.high - one.low + 1e-9


@given(counted(Metric.NPS, least=TOO_FEW))
def test_turning_the_scale_round_turns_the_nps_round(case: tuple[Metric, dict[int, int]]) -> None:
    n, promoters, detractors = (
        sum(case[1].values()),
        sum(count for score, count in case[1].items() if score >= 9),
        sum(count for score, count in case[1].items() if score <= 6),
    )
    passives = n - promoters - detractors

    found, turned = nps(case[1]), nps({10: detractors, 8: passives, 0: promoters})

    assert turned.value == pytest.approx(-(found.value or 0.0))
    assert turned.low == pytest.approx(-(found.high or 0.0))


@given(counted(Metric.CES, least=TOO_FEW))
def test_the_mean_lies_on_the_scale_and_in_its_interval(case: tuple[Metric, dict[int, int]]) -> None:
    found = ces(case[1])

    assert found.mean is not None and found.mean_low is not None and found.mean_high is not None
    assert 1 <= found.mean_low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.mean_high <= 7


# Differences


@given(counted(Metric.NPS, least=TOO_FEW), counted(Metric.NPS, least=TOO_FEW))
def test_a_difference_turned_round_is_its_opposite_and_gives_the_same_verdict(
    one: tuple[Metric, dict[int, int]], other: tuple[Metric, dict[int, int]]
) -> None:
    a, b = nps(one[1]), nps(other[1])

    there, back = difference(a, b), difference(b, a)

    assert there.value == pytest.approx(-(back.value or 0.0))
    assert there.low == pytest.approx(-(back.high or 0.0))
    assert there.different == back.different


def test_a_figure_is_not_different_from_itself_and_two_far_apart_are() -> None:
    happy, unhappy = nps({10: 80, 0: 20}), nps({10: 20, 0: 80})

    assert not difference(happy, happy).different
    assert difference(happy, unhappy).different
    assert difference(happy, unhappy).value == pytest.approx(120)


def test_two_figures_whose_difference_may_be_nothing_are_not_called_different() -> None:
    found = difference(csat({5: 60, 1: 40}), csat({5: 50, 1: 50}))

    assert found.value == pytest.approx(10)
    assert found.low is not None and found.low < 0 < (found.high or 0)
    assert not found.different


def test_too_few_answers_are_never_called_different() -> None:
    few = difference(csat({5: 29}), csat({1: 500}))
    withheld = difference(csat({5: 4}), csat({1: 500}))

    assert few.few and not few.different and few.value == pytest.approx(100)
    assert withheld.few and not withheld.different and withheld.value is None


def test_figures_of_two_metrics_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="nps and csat cannot be compared"):
        difference(nps({10: 50}), csat({5: 50}))


# Refusals


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_has_no_interval(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        wilson(k, n)


def test_negative_counts_and_unknown_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        csat({5: 10, 4: -1})
    with pytest.raises(ValueError, match="not one of the metrics"):
        figure("stars", {5: 10})
