from __future__ import annotations

import pytest

from customers.scales import METRICS, SCALES, BadScore, Band, Metric, Profile, band, profile


@pytest.mark.parametrize(
    ("metric", "bands"),
    [("nps", "-------00++"), ("csat", "--0++"), ("ces", "---0+++")],
)
def test_every_score_has_the_band_that_the_definitions_give_it(metric: str, bands: str) -> None:
    sign = {Band.NEGATIVE: "-", Band.NEUTRAL: "0", Band.POSITIVE: "+"}
    first, last = SCALES[Metric(metric)]

    assert "".join(sign[band(metric, score)] for score in range(first, last + 1)) == bands


def test_a_customer_is_what_the_last_score_says_and_silent_without_one() -> None:
    assert [profile("nps", score) for score in (6, 7, 9)] == [Profile.DETRACTOR, Profile.PASSIVE, Profile.PROMOTER]
    assert profile("csat", 2) == "detractor"
    assert profile("ces", None) == "silent"


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_just_off_the_scale_is_refused(metric: Metric) -> None:
    first, last = SCALES[metric]

    for score in (first - 1, last + 1):
        with pytest.raises(BadScore, match=f"{first} to {last}"):
            band(metric, score)


@pytest.mark.parametrize("score", [True, 4.0, "4", None])
def test_what_is_no_whole_number_is_no_score(score: object) -> None:
    with pytest.raises(BadScore):
        band("csat", score)  # type: ignore[arg-type]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(BadScore, match="nps, csat, ces"):
        band("stars", 4)
