from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from python_calamine import CalamineWorkbook

from core import clock
from core.db import db
from customers.models import Customer
from insights import happenings, rollups
from surveys import versions
from tests.client import Client, count_queries
from tests.factories import make_brand, make_case, make_interaction, make_staff, make_team
from tests.insights.conftest import TODAY, Shop, open_shop
from tests.insights.test_trends import publish

pytestmark = pytest.mark.usefixtures("to_noon")


def fold() -> None:
    rollups.fold(now=clock.now())
    db.session.commit()


def page(client: Client, address: str = "/insights", *, role: str = "analyst") -> str:
    client.sign_in(make_staff(role))
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_the_score_stands_with_its_interval_and_what_it_was_before(client: Client, shop: Shop) -> None:
    shop.answer([10] * 90 + [0] * 10)
    shop.answer([10] * 60 + [0] * 40, on=TODAY - timedelta(days=95))
    fold()

    html = page(client)

    assert "<b>+66</b> and <b>+90</b>, 95% sure" in " ".join(html.split())  # Rocks 2016, by hand
    assert "Before +20. The rise is real, not noise." in html
    assert "100 answers." in html


def test_a_period_that_asked_in_other_words_is_shown_and_not_compared(client: Client, shop: Shop) -> None:
    shop.answer([10] * 60 + [0] * 40, on=TODAY - timedelta(days=95))
    publish(shop, 50, wording="Would you tell a friend about {brand}?")
    shop.answer([10] * 90 + [0] * 10, version_id=versions.current(shop.survey.id).id)
    fold()

    html = page(client)
    text = client.get("/insights.csv").text

    assert "Before +20; the wording has changed since, so the two cannot be compared." in html
    assert "The rise is real" not in html
    assert "answers, rising" not in html
    assert '"asked in other words"' in text


def test_under_thirty_answers_there_is_a_count_and_no_score(client: Client, shop: Shop) -> None:
    shop.answer([10] * 29)
    fold()

    html = page(client)

    assert "There are 29 answers in this period." in html
    assert "+100" not in html


def test_the_page_costs_the_same_at_ten_and_at_a_thousand_answers(client: Client, shop: Shop) -> None:
    client.sign_in(make_staff("lead"))
    counts = []
    for given in ([9] * 10, [0, 5, 8, 9, 10] * 198):
        shop.answer(given, comment="Too late.")
        fold()
        client.get("/insights")  # what a process reads once is read
        with count_queries() as queries:
            client.get("/insights")
        counts.append(queries.count)

    assert counts[0] == counts[1] <= 28, counts


def test_filters_narrow_and_stay_in_every_link(client: Client, shop: Shop) -> None:
    shop.answer([10] * 30)
    shop.answer([0] * 40, language="ar")
    fold()

    html = page(client, "/insights?language=ar&days=30")

    assert "40 answers." in html
    assert "language=ar" in html.split("90 days")[0]
    assert '<option value="ar" selected>' in html


def test_a_tier_narrows_every_figure_and_the_export(client: Client, shop: Shop) -> None:
    shop.answer([10] * 31, tier="Summit", comment="Fine.")
    shop.answer([0] * 77, tier="Trail", comment="Never again.")
    fold()

    html = page(client, "/insights?tier=Summit")
    rows = list(csv.DictReader(io.StringIO(client.get("/insights.csv?tier=Summit").text.removeprefix("\ufeff"))))

    assert "31 answers." in html
    assert '<option value="Summit" selected>' in html
    assert "Never again." not in html
    assert (rows[0]["n"], rows[0]["value"]) == ("31", "100.0")


def test_an_unknown_tier_finds_nothing_and_stays_to_be_cleared(client: Client, shop: Shop) -> None:
    shop.answer([10] * 31, tier="Summit")
    fold()

    html = page(client, "/insights?tier=Moon")

    assert "There are 0 answers in this period." in html
    assert '<option value="Moon" selected>' in html
    assert "Clear filters" in html


@pytest.mark.parametrize(
    "address",
    [
        "/insights?from=2026-13-99&to=x&days=7&metric=joy&compare=never",
        "/insights?from=2026-03-31&to=2026-01-01",
        "/insights?from=0001-01-01&to=9999-12-31",
        "/insights?touchpoint=none&brand=none&channel=%00&language=" + "x" * 300,
        "/insights?metric=csat&compare=none",
        "/insights?metric=ces&compare=year&days=365",
    ],
)
def test_every_address_shows_a_page(client: Client, shop: Shop, address: str) -> None:
    shop.answer([10] * 30)
    fold()

    assert "Insights" in page(client, address)


def test_an_unknown_touchpoint_finds_nothing_rather_than_everything(client: Client, shop: Shop) -> None:
    shop.answer([10] * 30)
    fold()

    assert "There are 0 answers in this period." in page(client, "/insights?touchpoint=moon")


def test_a_team_of_one_brand_sees_its_own_figures_whatever_it_asks_for(client: Client, shop: Shop) -> None:
    other = open_shop(make_brand(name="Fjord Bikes"))
    shop.answer([10] * 31)
    other.answer([0] * 77, comment="Never again.")
    fold()
    client.sign_in(make_staff("lead", team=make_team(shop.brand)))

    for address in ("/insights", f"/insights?brand={other.brand.key}", f"/insights?touchpoint={other.touchpoint.key}"):
        html = client.get(address).get_data(as_text=True)
        assert not re.search(r"(?<![\w.-])77(?![\w-])", html)  # a form's token may hold it by chance
        assert "Never again" not in html
        assert "Fjord Bikes" not in html


def test_words_lead_to_the_case_and_the_customer_for_those_who_may_see_them(
    client: Client, shop: Shop, hanna: Customer
) -> None:
    [response_id] = shop.answer([2], comment="<b>Too</b> late.", language="de", customer_id=hanna.id)
    case = make_case(shop.brand, response_id=response_id, customer=hanna, now=clock.now())
    fold()

    lead, analyst = page(client, role="lead"), page(client, role="analyst")

    assert "&lt;b&gt;Too&lt;/b&gt; late." in lead
    assert f'href="/desk/cases/{case.number}"' in lead
    assert f'href="/customers/{hanna.public_id}"' in lead
    assert "&lt;b&gt;Too&lt;/b&gt; late." in analyst
    assert "Hanna" not in analyst
    assert "/desk/cases/" not in analyst


def test_happy_words_and_erased_ones_are_not_among_those_to_read(client: Client, shop: Shop) -> None:
    shop.answer([10], comment="Lovely.")
    shop.answer([1])
    fold()

    html = page(client)

    assert "Lovely." not in html
    assert "No unhappy words in this period." in html


def test_everything_has_its_numbers_as_a_table(client: Client, shop: Shop) -> None:
    shop.answer([10] * 20 + [3] * 20)
    fold()

    html = page(client)

    assert html.count('<details class="data">') == 2  # trend and answers; nobody was asked twice
    assert "Answers by score. Detractors 20, Passives 0, Promoters 20." in html


def test_what_was_left_half_done_stands_on_the_map_in_the_list_and_in_the_export(client: Client, shop: Shop) -> None:
    for status in ["completed"] * 30 + ["started"] * 10:
        make_interaction(shop.touchpoint, status=status)
    happenings.recount_told(now=clock.now())
    fold()

    html = page(client, role="lead")
    text = client.get("/insights.csv").text
    rows = [
        row for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))) if row["group"] == shop.touchpoint.key
    ]

    assert "25% left half-done" in html
    assert f'href="/settings/touchpoints/{shop.touchpoint.key}"' in html
    told = {row["figure"]: (row["n"], row["value"]) for row in rows}
    assert (told["interactions"], told["left half-done"]) == (("40", "40"), ("40", "25.0"))


def test_csv_holds_what_the_page_shows_and_withholds_what_it_withholds(client: Client, shop: Shop) -> None:
    shop.answer([10] * 30 + [0] * 10)
    shop.answer([9] * 3, on=TODAY - timedelta(days=95))
    fold()
    client.sign_in(make_staff("analyst"))

    answer = client.get("/insights.csv")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))

    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].endswith(".csv")
    assert (rows[0]["figure"], rows[0]["n"], rows[0]["value"]) == ("nps", "40", "50.0")
    assert (rows[1]["group"], rows[1]["n"], rows[1]["value"]) == ("compared", "3", "")
    assert {row["figure"] for row in rows} >= {"nps", "answers", "won back", "promises kept", "first contact"}


def test_below_thirty_answers_neither_page_nor_export_tells_how_many_gave_which_score(
    client: Client, shop: Shop
) -> None:
    shop.answer([0] * 4)
    fold()

    html = page(client)
    text = client.get("/insights.csv").text

    assert "Answers by score" not in html
    assert "too few: 4" in html
    assert "\r\nanswers," not in text


@pytest.mark.parametrize(
    ("now", "before", "unit"),
    [
        ({10: 90, 0: 10}, {10: 60, 0: 40}, "points, different"),
        ({10: 50, 0: 10}, {10: 48, 0: 12}, "points, may be chance"),
        ({10: 29}, {0: 40}, "too few"),
    ],
)
def test_the_export_calls_figures_different_only_where_the_interval_leaves_zero_out(
    client: Client, shop: Shop, now: dict[int, int], before: dict[int, int], unit: str
) -> None:
    for counts, on in ((now, TODAY), (before, TODAY - timedelta(days=95))):
        shop.answer([score for score, count in counts.items() for _ in range(count)], on=on)
    fold()
    client.sign_in(make_staff("analyst"))

    text = client.get("/insights.csv").text.removeprefix("\ufeff")
    [row] = [row for row in csv.DictReader(io.StringIO(text)) if row["figure"] == "nps, difference"]

    assert row["unit"] == unit
    assert (row["value"] == "") == (unit == "too few")


def test_xlsx_holds_the_same_as_csv_with_numbers_as_numbers(client: Client, shop: Shop) -> None:
    shop.answer([10] * 30 + [0] * 10)
    fold()
    client.sign_in(make_staff("analyst"))

    written = client.get("/insights.csv").get_data(as_text=True).removeprefix("\ufeff")
    answer = client.get("/insights.xlsx")
    found = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()

    assert answer.headers["Content-Disposition"].endswith(".xlsx")
    rows = list(csv.reader(io.StringIO(written)))
    assert found[0] == rows[0]
    assert found[1][:6] == ["nps", "", *rows[1][2:4], 40, 50]
    assert [row[0] for row in found] == [row[0] for row in rows]


def test_an_agent_sees_the_page_and_exports_nothing(client: Client, shop: Shop) -> None:
    html = page(client, role="agent")

    assert "/insights.csv" not in html
    assert client.get("/insights.csv").status_code == 403


def test_who_is_not_signed_in_is_led_to_the_door(client: Client, shop: Shop) -> None:
    answer = client.get("/insights")

    assert answer.status_code == 302
    assert "/login" in answer.headers["Location"]


def test_reading_writes_nothing(client: Client, shop: Shop) -> None:
    client.sign_in(make_staff("lead"))
    client.get("/insights")
    with count_queries() as queries:
        client.get("/insights")

    assert not [each for each in queries if each.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))]
