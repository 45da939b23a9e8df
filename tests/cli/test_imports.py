"""The command `import`, from files to figures; how rows are read is tested in tests/customers/test_mapping.py."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select, text

from cli.imports import REFUSED
from core import clock
from core.db import db
from core.events import Event
from core.outbox import Work
from customers import erasure, importing, mapping
from customers.models import Brand, Customer, ImportRefusal, ImportRun, Interaction, Touchpoint
from customers.places import Places
from feedback.models import Case, CaseClock, CaseState, Complaint, Origin, Promise
from incentives.models import Reward
from insights import commanded, metrics
from insights.metrics import Asked
from insights.models import ImportAtWork
from notifications.models import Message
from surveys.importing import ResponseImporter
from surveys.models import Response, Survey
from surveys.scoring import Metric
from tests.client import Client, count_queries
from tests.customers.races import meanwhile
from tests.factories import (
    make_api_key,
    make_brand,
    make_customer,
    make_interaction,
    make_staff,
    make_survey,
    make_touchpoint,
)

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "tests/data/mappings"
Run = Callable[..., Result]

SHOP = """
zone = "UTC"

[interactions]
reference = "Order"
occurred_at = "Placed"
touchpoint = { value = "checkout" }

[interactions.customer]
external_id = "Customer"
email = { column = "Mail", optional = true }

[responses]
survey = "shop"
metric = "csat"
key = ["Order", "Answered"]
score = { column = "Stars", missing = ["9"] }
answered_at = "Answered"
comment = "Words"
touchpoint = { value = "checkout" }
reference = "Order"
channel = { value = "email" }
language = { value = "en" }
attributes = ["Weight"]

[complaints]
key = ["Order"]
reference = "Order"
received_at = "Answered"
text = "Words"
product = "Weight"
touchpoint = { value = "checkout" }
reopened = { column = "Stars", map = { 1 = "yes" }, unlisted = "blank" }
state = { column = "Stars", map = { 1 = "resolved", 2 = "resolved" }, unlisted = "blank" }

[complaints.attributes]
zip = "Customer"
"""
HEADERS = ("Order", "Placed", "Customer", "Answered", "Stars", "Words", "Weight")
ROWS = (
    ("A-1", "2024-03-01T08:00", "00501", "2024-03-02T09:00", "1", "Too late", "0.5"),
    ("A-2", "2024-03-01T09:00", "00502", "2024-03-02T10:00", "2", "=cmd|' /C calc'!A0", "1.5"),
    ("A-3", "2024-03-01T10:00", "00503", "2024-03-03T09:00", "5", "", "1"),
    ("A-4", "2024-03-01T11:00", "00503", "2024-03-04T09:00", "9", "No stars", "1"),
    ("A-3", "2024-03-01T10:00", "00503", "2024-03-03T09:00", "5", "", "1"),
)


@pytest.fixture
def run(app: Flask) -> Run:
    """Return a function that runs the command as a process would, after committing what the test arranged."""

    def command(*args: str | Path) -> Result:
        db.session.commit()
        result = app.test_cli_runner().invoke(args=["import", *map(str, args)])
        db.session.rollback()
        db.session.expire_all()
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return command


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A mapping for all kinds; files are written beside it."""
    path = tmp_path / "shop.toml"
    path.write_text(SHOP)
    return path


def write(
    folder: Path, rows: Sequence[Sequence[str]] = ROWS, *, name: str = "shop.csv", headers: Any = HEADERS
) -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([headers, *rows])
    return path


def counts() -> dict[str, int]:
    """Return how many rows every table has."""
    tables = db.metadata.sorted_tables
    return {table.name: db.session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def assert_nothing_followed() -> None:
    for model in (Work, Message, Reward, CaseClock, Promise):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0, model


# What becomes of rows


def test_unhappy_answers_get_a_case_each_off_the_desk_and_nothing_follows(run: Run, shop: Path) -> None:
    result = run("responses", write(shop.parent), "--mapping", shop)

    assert result.exit_code == 0
    assert "5 rows: 4 responses new, 0 known already, 1 told again in this file, 0 refused." in result.stdout
    cases = db.session.scalars(select(Case).order_by(Case.score)).all()
    assert [(case.score, case.words, case.off_desk, case.state) for case in cases] == [
        (1, "Too late", True, CaseState.OPEN),
        (2, "=cmd|' /C calc'!A0", True, CaseState.OPEN),
    ]
    first = db.session.scalars(select(Response).order_by(Response.answered_at)).first()
    assert first is not None
    assert cases[0].reason == f"response:{first.id}"
    assert cases[0].opened_at == first.answered_at == datetime(2024, 3, 2, 9, tzinfo=UTC)
    assert (first.answers, first.attributes, first.import_key) == (
        {"csat": 1},
        {"Weight": "0.5"},
        "A-1|2024-03-02T09:00",
    )
    assert_nothing_followed()


def test_blank_scores_are_kept_and_count_in_no_figure(run: Run, shop: Path) -> None:
    run("responses", write(shop.parent), "--mapping", shop)

    blank = db.session.scalars(select(Response).where(Response.score.is_(None))).one()
    assert (blank.answers, blank.attributes["missing"], blank.comment) == ({"csat": None}, "blank", "No stars")
    asked = Asked(Metric.CSAT, datetime(2024, 1, 1).date(), datetime(2024, 12, 31).date(), metrics.survey_ids("shop"))
    assert metrics.report(asked).counts == {1: 1, 2: 1, 5: 1}


def test_answers_find_their_interaction_and_its_customer(run: Run, shop: Path) -> None:
    file = write(shop.parent)

    orders = run("interactions", file, "--mapping", shop)
    answers = run("responses", file, "--mapping", shop)

    assert "4 interactions new" in orders.stdout
    assert "without" not in answers.stdout and "not here" not in answers.stdout
    linked = select(Interaction.reference, Customer.external_id, Customer.profile).join(Customer).join(Response)
    linked = linked.where(Response.interaction_id == Interaction.id, Response.customer_id == Customer.id)
    assert set(db.session.execute(linked).all()) == {
        ("A-1", "00501", "detractor"),
        ("A-2", "00502", "detractor"),
        ("A-3", "00503", "promoter"),
        ("A-4", "00503", "promoter"),
    }


def test_answers_without_their_interaction_are_told(run: Run, shop: Path) -> None:
    result = run("responses", write(shop.parent), "--mapping", shop)

    assert "4 name an interaction that is not here; interactions are imported first." in result.stdout


def test_history_fills_what_a_customers_record_lacks_and_overwrites_nothing(run: Run, shop: Path) -> None:
    now = clock.now()
    kept = make_customer(
        external_id="00501", email="now@customer.example", profile="promoter", profile_metric="nps", profile_at=now
    )
    headers = (*HEADERS, "Mail")
    file = write(shop.parent, [(*row, "then@customer.example") for row in ROWS[:2]], headers=headers)

    run("interactions", file, "--mapping", shop)
    run("responses", file, "--mapping", shop)

    db.session.refresh(kept)
    assert (kept.email, kept.profile, kept.profile_at) == ("now@customer.example", "promoter", now)
    other = db.session.scalars(select(Customer).where(Customer.external_id == "00502")).one()
    assert (other.email, other.profile) == ("then@customer.example", "detractor")


def test_complaints_keep_their_history_and_their_text_as_it_stood(run: Run, shop: Path) -> None:
    result = run("complaints", write(shop.parent, [row for row in ROWS if row[5]]), "--mapping", shop)

    assert result.exit_code == 0, result.output
    joined = select(Complaint, Case).join(Case, Case.id == Complaint.case_id).order_by(Complaint.reference)
    found = db.session.execute(joined).all()
    assert [(complaint.reference, case.state, case.reopened) for complaint, case in found] == [
        ("A-1", CaseState.RECOVERY, 1),
        ("A-2", CaseState.RESOLVED, 0),
        ("A-4", CaseState.OPEN, 0),
    ]
    assert all(case.off_desk and case.origin == Origin.COMPLAINT for _, case in found)
    assert [case.resolved_at for _, case in found] == [None, None, None]  # nobody wrote it down
    complaint, case = found[1]
    assert complaint.words == case.words == "=cmd|' /C calc'!A0"
    assert complaint.attributes == {"zip": "00502", "product": "1.5"}
    assert case.opened_at == complaint.received_at == datetime(2024, 3, 2, 10, tzinfo=UTC)
    logged = db.session.scalars(select(Event.kind).where(Event.case_id == found[0][1].id).order_by(Event.id)).all()
    assert logged == ["case.opened", "case.reopened"]
    assert_nothing_followed()


def test_other_headers_and_another_order_of_columns_are_the_same_file(run: Run, shop: Path) -> None:
    run("responses", write(shop.parent), "--mapping", shop)
    headers = [f" {header.upper()} " for header in reversed(HEADERS)]
    file = write(shop.parent, [row[::-1] for row in ROWS], name="next.csv", headers=headers)

    result = run("responses", file, "--mapping", shop)

    assert "0 responses new, 4 known already" in result.stdout


# Again, interrupted, at once


@pytest.mark.parametrize("kind", ["interactions", "responses", "complaints"])
def test_a_second_import_changes_no_table_and_says_so(kind: str, run: Run, shop: Path) -> None:
    file = write(shop.parent, [row for row in ROWS if row[5]])
    run(kind, file, "--mapping", shop)
    before = counts()

    result = run(kind, file, "--mapping", shop)

    assert result.exit_code == 0
    assert "0 " + kind + " new, 3 known already" in result.stdout
    assert "Nothing was changed." in result.stdout
    assert counts() == before


@pytest.mark.parametrize("kind", ["interactions", "responses", "complaints"])
def test_a_dry_run_changes_nothing_and_tells_what_would_be(kind: str, run: Run, shop: Path) -> None:
    file = write(shop.parent, [*(row for row in ROWS if row[5]), ("A-9", "soon", "", "soon", "7", "", "")])
    before, number = counts(), db.session.scalar(text("SELECT last_value FROM case_number"))

    result = run(kind, file, "--mapping", shop, "--dry-run")

    assert result.exit_code == REFUSED
    assert f"4 rows: 3 {kind} would be new, 0 known already, 1 refused." in result.stdout
    assert "Would make: brand import, touchpoint checkout" in result.stdout
    assert "line 5, column" in result.stderr
    assert counts() == before
    assert db.session.scalar(text("SELECT last_value FROM case_number")) == number


def test_a_longer_file_adds_only_what_is_new(run: Run, shop: Path) -> None:
    run("responses", write(shop.parent, ROWS[:2]), "--mapping", shop)

    result = run("responses", write(shop.parent), "--mapping", shop)

    assert "2 responses new, 2 known already" in result.stdout
    assert counts()["case"] == 2


def many_rows(count: int) -> list[tuple[str, ...]]:
    return [
        (f"M-{n:05}", "2024-03-01T08:00", f"C-{n}", "2024-03-02T09:00", str(n % 5 + 1), "x", "1") for n in range(count)
    ]


@pytest.mark.fault
@pytest.mark.timeout(240)
def test_an_import_killed_in_the_middle_goes_on_at_its_next_line(
    run: Run, shop: Path, environment: dict[str, str]
) -> None:
    rows = [*many_rows(6000), ROWS[0], ("M-00000", *many_rows(1)[0][1:]), ("bad",)]
    file = write(shop.parent, rows)
    command = [sys.executable, "-m", "flask", "--app", str(ROOT / "wsgi.py"), "import", "responses", str(file)]
    command += ["--mapping", str(shop), "--batch", "20", "--quiet"]
    process = subprocess.Popen(command, env=environment, cwd=ROOT)

    try:
        wait_for(lambda: (db.session.scalar(select(func.max(ImportRun.next_line))) or 0) > 100, process)
    finally:
        process.kill()
        process.wait()
    db.session.rollback()
    reached = db.session.scalar(select(ImportRun.next_line)) or 0
    assert 100 < reached < 6000
    result = run("responses", file, "--mapping", shop)

    assert result.exit_code == REFUSED
    began = db.session.scalars(select(ImportRun)).one()
    assert f"Taken up where it was interrupted, at line {reached:,}." in result.stdout
    assert "6,003 rows: 6,001 responses new, 0 known already, 1 told again in this file, 1 refused." in result.stdout
    assert (began.rows, began.created, began.repeated, began.refused) == (6003, 6001, 1, 1)
    assert began.finished_at is not None
    assert (counts()["response"], counts()["case"]) == (6001, 2401)
    assert metrics.report(asked_of_all()).figure.n == 6001


def wait_for(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Look until it is so; fails when the process ends before."""
    while not is_so():
        assert process.poll() is None
        db.session.rollback()
        time.sleep(0.02)


def asked_of_all() -> Asked:
    return Asked(Metric.CSAT, datetime(2024, 1, 1).date(), datetime(2024, 12, 31).date())


def test_two_imports_of_the_same_rows_at_once_double_nothing(app: Flask, shop: Path) -> None:
    rows = many_rows(600)
    files = [write(shop.parent, rows, name="up.csv"), write(shop.parent, rows[::-1], name="down.csv")]
    failures: list[Exception] = []
    start = threading.Barrier(2)

    def one(path: Path) -> None:
        with app.app_context(), path.open("rb") as file:
            try:
                chosen = mapping.load(SHOP, kind="responses")
                importer = ResponseImporter(chosen, Places().find())
                job = importing.Job(chosen, path.name, importing.fingerprint(file), None, "system")
                start.wait()
                for _ in importing.take(file, importer, job, now=clock.now(), size=50):
                    db.session.commit()
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(daemon=True, target=one, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    found = counts()
    assert (found["response"], found["case"], found["survey"], found["brand"], found["touchpoint"]) == (
        600,
        240,
        1,
        1,
        1,
    )
    assert db.session.scalar(select(func.sum(ImportRun.created))) == 600


def test_a_second_process_waits_for_the_first_ones_import_of_the_same_file(app: Flask) -> None:
    digest, told = "ab" * 32, []

    def second() -> None:
        with app.app_context(), importing.alone(digest, waiting=lambda: told.append("waits")):
            told.append("works")

    with importing.alone(digest, waiting=lambda: told.append("never")):
        thread = threading.Thread(daemon=True, target=second)
        thread.start()
        while not told and thread.is_alive():
            time.sleep(0.01)
        told.append("done")
    thread.join()

    assert told == ["waits", "done", "works"]


# What is refused


def test_every_refused_row_is_told_with_line_column_and_reason(run: Run, shop: Path) -> None:
    tomorrow = f"{clock.now().year + 1}-01-01T00:00"
    bad = [
        ("A-5", "", "", "yesterday", "5", "", ""),
        ("A-6", "", "", "2024-03-01T08:00", "6", "", ""),
        ("A-7", "", "", tomorrow, "5", "", ""),
        ("A-8", "", "", "2024-03-01T08:00", "=1+1", "", ""),
    ]
    file, written = write(shop.parent, [ROWS[0], *bad]), shop.parent / "refused.csv"

    result = run("responses", file, "--mapping", shop, "--refusals", written)

    assert result.exit_code == REFUSED
    assert "5 rows: 1 responses new, 0 known already, 4 refused." in result.stdout
    assert "line 3, column Answered: 'yesterday' is not written as in 2026-02-28T14:30+00:00 (iso)." in result.stderr
    assert "line 4, column Stars: 6 is not a score of csat (1 to 5)." in result.stderr
    assert "line 5, column Answered:" in result.stderr and "has not happened yet" in result.stderr
    kept = db.session.execute(select(ImportRefusal.line, ImportRefusal.column).order_by(ImportRefusal.line)).all()
    assert kept == [(3, "Answered"), (4, "Stars"), (5, "Answered"), (6, "Stars")]
    with written.open() as lines:
        assert [row["line"] for row in csv.DictReader(lines)] == ["3", "4", "5", "6"]


def test_only_the_first_twenty_refusals_are_shown(run: Run, shop: Path) -> None:
    file = write(shop.parent, [(*row[:4], "8", *row[5:]) for row in many_rows(30)])

    result = run("responses", file, "--mapping", shop)

    assert result.stderr.count("is not a score of csat") == 20
    assert "and 10 more" in result.stderr
    assert db.session.scalar(select(func.count()).select_from(ImportRefusal)) == 30
    assert counts()["survey"] == 0  # nothing to keep, nothing made


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Mail", "no address", "'no address' is not an e-mail address."),
        ("Customer", "x" * 201, "external_id has more than 200 characters."),
    ],
)
def test_customers_that_cannot_be_are_refused(column: str, value: str, reason: str, run: Run, shop: Path) -> None:
    row = dict(zip((*HEADERS, "Mail"), (*ROWS[0], ""), strict=True)) | {column: value}
    file = write(shop.parent, [tuple(row.values())], headers=tuple(row))

    result = run("interactions", file, "--mapping", shop)

    assert f"line 2, column {column}: {reason}" in result.stderr
    assert (counts()["customer"], counts()["interaction"]) == (0, 0)


def test_a_missing_column_refuses_the_file_with_its_headers(run: Run, shop: Path) -> None:
    file = write(shop.parent, [row[1:] for row in ROWS], headers=HEADERS[1:])
    before = counts()

    result = run("responses", file, "--mapping", shop)

    assert result.exit_code == 1
    assert "names the column 'Order', which the file lacks" in result.stderr
    assert "'Placed', 'Customer', 'Answered'" in result.stderr
    assert counts() == before


def test_a_mapping_without_the_kind_says_which_it_has(run: Run, shop: Path, tmp_path: Path) -> None:
    only = tmp_path / "only.toml"
    only.write_text(SHOP.partition("[responses]")[0])

    result = run("complaints", write(tmp_path), "--mapping", only)

    assert result.exit_code == 1
    assert "no table for complaints; those it has: interactions" in result.stderr


def test_a_survey_that_asks_something_else_is_not_written_to(run: Run, shop: Path) -> None:
    make_survey(make_brand(), key="nps_after_contact")
    other = shop.with_name("other.toml")
    other.write_text(SHOP.replace('survey = "shop"', 'survey = "nps_after_contact"'))

    result = run("responses", write(shop.parent), "--mapping", other)

    assert result.exit_code == 1
    assert "The survey 'nps_after_contact' asks for nps, and the mapping reads csat." in result.stderr
    assert counts()["response"] == 0


def test_an_unknown_brand_is_refused_with_those_there_are(run: Run, shop: Path) -> None:
    make_brand(key="northwind")

    result = run("responses", write(shop.parent), "--mapping", shop, "--brand", "southwind")

    assert result.exit_code == 1
    assert "There is no brand 'southwind'; there are: northwind." in result.stderr


def test_a_named_brand_gets_the_rows_and_no_touchpoint_of_another(run: Run, shop: Path) -> None:
    make_brand(key="first")
    wanted = make_brand(key="wanted")

    taken = run("responses", write(shop.parent), "--mapping", shop, "--brand", "wanted")
    refused = run("responses", write(shop.parent), "--mapping", shop, "--brand", "first")

    assert taken.exit_code == 0
    assert set(db.session.scalars(select(Response.brand_id))) == {wanted.id}
    assert db.session.scalars(select(Touchpoint)).one().brand_id == wanted.id
    assert "The touchpoint 'checkout' belongs to another brand than 'first'." in refused.stderr
    assert counts()["response"] == 4


def test_what_is_here_already_is_used_and_not_made_again(run: Run, shop: Path) -> None:
    touchpoint = make_touchpoint(key="checkout")
    order = make_interaction(touchpoint, make_customer(), reference="A-1", status="started")

    result = run("interactions", write(shop.parent), "--mapping", shop)

    assert "3 interactions new, 1 known already" in result.stdout
    db.session.refresh(order)
    assert order.status == "completed"
    assert counts()["brand"] == 1


# Real files


@pytest.mark.data
def test_olists_reviews_are_2256_responses_with_608_cases_and_a_second_import_changes_nothing(
    run: Run, client: Client, data: Path
) -> None:
    file, chosen = data / "responses/olist_classified_2017.csv", MAPPINGS / "olist.toml"

    orders = run("interactions", file, "--mapping", chosen)
    reviews = run("responses", file, "--mapping", chosen)

    assert "2,248 interactions new" in orders.stdout
    assert "2,256 responses new, 0 known already, 300 told again in this file, 0 refused." in reviews.stdout
    unhappy = select(Response.id).where(Response.score <= 2).order_by(Response.id)
    reasons = [f"response:{response_id}" for response_id in db.session.scalars(unhappy)]
    assert len(reasons) == 608
    assert sorted(db.session.scalars(select(Case.reason))) == sorted(reasons)
    assert db.session.scalar(select(func.count(Response.interaction_id))) == 2256
    assert_nothing_followed()
    figure = ask(client, "csat?survey=olist&from=2016-01-01&to=2018-12-31")
    assert figure == {
        "metric": "csat",
        "n": 2256,
        "value": 64.18,
        "low": 62.18,
        "high": 66.14,
        "few": False,
        "groups": [],
    }
    before = counts()
    again = run("responses", file, "--mapping", chosen)
    assert "0 responses new, 2,256 known already" in again.stdout
    run("interactions", file, "--mapping", chosen)
    assert counts() == before


def ask(client: Client, question: str) -> Any:
    _, secret = make_api_key("metrics:read")
    db.session.commit()
    answer = client.get(f"/api/v1/metrics/{question}", headers={"Authorization": f"Bearer {secret}"})
    row = db.session.scalars(text("DELETE FROM api_key RETURNING id")).all()
    db.session.execute(text("DELETE FROM event WHERE kind LIKE 'api_key.%'"))
    db.session.commit()
    assert row
    return answer.json


@pytest.mark.data
def test_the_airports_passengers_of_2017_give_an_nps_of_39_84(run: Run, client: Client, data: Path) -> None:
    file = data / "responses/sfo_airport/2017_SFO_Customer_Survey_20250817.csv"

    result = run("responses", file, "--mapping", MAPPINGS / "sfo.toml")

    assert "2,831 rows: 2,831 responses new, 0 known already, 0 refused." in result.stdout
    assert db.session.scalar(select(func.count()).select_from(Case)) == 342
    figure = ask(client, "nps?survey=sfo&from=2017-01-01&to=2017-12-31")
    wanted = {"n": 2746, "value": 39.84, "low": 37.18, "high": 42.41}
    assert {name: figure[name] for name in wanted} == wanted


@pytest.mark.data
def test_cfpbs_complaints_are_cases_by_product_and_disputed_ones_reopened(run: Run, data: Path) -> None:
    file, chosen = data / "complaints/cfpb_2015_jan_feb.csv", MAPPINGS / "cfpb.toml"

    with count_queries() as queries:
        result = run("complaints", file, "--mapping", chosen, "--quiet")

    batches = -(-24_858 // importing.BATCH)
    assert queries.count < 12 * batches
    assert "24,858 rows: 24,858 complaints new, 0 known already, 0 refused." in result.stdout
    product = Complaint.attributes["product"].astext
    assert dict(db.session.execute(select(product, func.count()).group_by(product)).all()) == {
        "Credit reporting": 4876,
        "Credit card": 2509,
        "Debt collection": 6542,
        "Mortgage": 6010,
        "Bank account or service": 2347,
        "Money transfers": 194,
        "Consumer loan": 1153,
        "Student loan": 714,
        "Payday loan": 311,
        "Prepaid card": 165,
        "Other financial service": 37,
    }
    assert db.session.scalar(select(func.count()).where(Complaint.case_id == Case.id, Case.off_desk)) == 24858
    assert db.session.scalar(select(func.count()).where(Case.reopened == 1)) == 4293
    assert db.session.scalar(select(func.count()).where(Complaint.attributes["timely"].astext == "No")) == 694
    assert (
        db.session.scalar(select(func.count()).where(func.length(Complaint.attributes["postcode"].astext) < 5)) == 2076
    )
    assert_nothing_followed()
    before = counts()
    assert "0 complaints new, 24,858 known already" in run("complaints", file, "--mapping", chosen, "--quiet").stdout
    assert counts() == before


def test_the_first_brand_is_made_for_an_installation_without_one(run: Run, shop: Path) -> None:
    result = run("responses", write(shop.parent), "--mapping", shop)

    assert "Made: brand import, touchpoint checkout, survey shop." in result.stdout
    brand = db.session.scalars(select(Brand)).one()
    assert (brand.key, brand.zone, brand.sender_address) == ("import", "UTC", "import@import.invalid")
    assert db.session.scalars(select(Survey)).one().brand_id == brand.id


@pytest.mark.parametrize("kind", ["responses", "complaints"])
def test_imported_cases_have_their_page_whatever_their_state(kind: str, run: Run, shop: Path, client: Client) -> None:
    chosen = shop.with_name("pt.toml")
    chosen.write_text(SHOP.replace('language = { value = "en" }', 'language = { value = "pt" }'))
    run(kind, write(shop.parent, [row for row in ROWS if row[5]]), "--mapping", chosen)
    client.sign_in(make_staff("lead"))

    pages = [client.get(f"/desk/cases/{case.label}") for case in db.session.scalars(select(Case))]
    desk = client.get("/desk")

    assert pages and {page.status_code for page in pages} == {200}
    assert all("off the desk" in page.text for page in pages)
    assert "Too late" not in desk.text


# A customer of the file is erased


ORDERS = tuple((f"B-{n}", "2024-03-01T08:00", f"NW-{n:05}", "", "", "", "") for n in range(30))


@pytest.fixture
def erased_within(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that has a customer erased by somebody else while the third batch is being taken in."""
    with monkeypatch.context() as patched:

        def arrange(**known: str) -> None:
            take, is_over = importing.take, threading.Event()

            def erase() -> None:
                erasure.erase(make_customer(**known), by="system", now=clock.now())

            def taken(*args: Any, **more: Any) -> Any:
                for number, progress in enumerate(take(*args, **more)):
                    if number == 2 and not is_over.is_set():
                        is_over.set()
                        with meanwhile(app, erase):
                            pass
                    yield progress

            patched.setattr(importing, "take", taken)

        yield arrange


def customers_known() -> set[str | None]:
    return set(db.session.scalars(select(Customer.external_id).where(Customer.erased_at.is_(None))))


def test_a_file_under_way_that_names_somebody_erased_is_taken_in_no_further(
    run: Run, shop: Path, erased_within: Callable[..., None], tmp_path: Path
) -> None:
    erased_within(external_id="NW-00025")

    result = run("interactions", write(tmp_path, ORDERS), "--mapping", shop, "--batch", "10")

    assert (result.exit_code, "names a customer whose record was erased meanwhile" in result.output) == (1, True)
    assert customers_known() == {row[2] for row in ORDERS[:10]}
    again = run("interactions", write(tmp_path, ORDERS), "--mapping", shop)
    assert (again.exit_code, "NW-00025" in customers_known()) == (1, False)
    without = write(tmp_path, [row for row in ORDERS if row[2] != "NW-00025"])
    assert run("interactions", without, "--mapping", shop).exit_code == 0
    assert customers_known() == {row[2] for row in ORDERS} - {"NW-00025"}


def test_a_file_that_names_nobody_erased_goes_on_where_it_was(
    run: Run, shop: Path, erased_within: Callable[..., None], tmp_path: Path
) -> None:
    erased_within(external_id="NW-00999", email="somebody@shop.example")

    result = run("interactions", write(tmp_path, ORDERS), "--mapping", shop, "--batch", "10")

    assert (result.exit_code, "30 rows: 30 interactions new" in result.output) == (0, True), result.output
    assert db.session.scalar(select(func.count(Interaction.id))) == 30
    assert db.session.scalar(select(func.count()).select_from(ImportAtWork)) == 0


def test_an_import_that_was_killed_is_forgotten_after_a_week(app: Flask) -> None:
    now = clock.now()
    commanded.begin("0" * 64, now=now - timedelta(days=8))
    commanded.begin("1" * 64, now=now - timedelta(days=6))

    assert commanded.forget(now=now) == 1
    assert db.session.scalars(select(ImportAtWork.file_sha256)).all() == ["1" * 64]
