"""Imports on pages, from the upload to the figures; how rows are read is tested in tests/customers, what they become
in tests/cli/test_imports.py."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from core import clock, outbox
from core.db import db
from core.files import File
from core.outbox import Work
from customers import importing
from customers.models import ImportRefusal, ImportRun, Interaction
from feedback.models import Case, Complaint
from incentives.models import Reward
from insights import uploads
from insights.models import UploadState
from notifications.models import Message
from surveys.models import Response
from tests.client import Client, count_queries
from tests.factories import make_brand, make_staff, make_team
from tests.insights.shop_files import FIELDS, HEADERS, ROWS, as_csv, as_xlsx, matched, send, upload_of, uploaded, work
from tests.insights.shop_files import admin as admin

ROOT = Path(__file__).parents[2]


def bad(page: TestResponse) -> dict[str, str]:
    """Return the sentences at the inputs of a page."""
    found = re.findall(r'<span class="bad" id="([^"]*)-e">([^<]*)</span>', page.text)
    return {name: sentence.replace("&#39;", "'") for name, sentence in found}


def responses() -> list[tuple[Any, ...]]:
    columns = (Response.import_key, Response.score, Response.answered_at, Response.comment, Response.attributes)
    return [tuple(row) for row in db.session.execute(select(*columns).order_by(Response.import_key))]


# The way through


def test_a_file_is_matched_looked_at_tried_and_taken_in(admin: Client) -> None:
    address = uploaded(admin)

    page = admin.get(f"{address}/columns")
    assert 'value="Stars" selected' in page.text or 'selected value="Stars"' in page.text
    assert "A-1, A-2, A-3" in page.text or "Such as" in page.text
    assert admin.post(f"{address}/columns", data=FIELDS).status_code == 302

    looked = admin.get(address)
    assert (
        "Too late" in looked.text
        and "&#39;yesterday&#39; is not written as in 2026-02-28T14:30+00:00 (iso)." in looked.text
    )
    assert (db.session.scalar(select(func.count(Response.id))), upload_of(address).state) == (0, UploadState.READY)

    admin.post(f"{address}/try")
    waiting = admin.get(address)
    assert (waiting.headers["Refresh"], "waiting for its turn" in waiting.text) == ("3", True)
    work()
    tried = admin.get(address)
    assert "Refresh" not in tried.headers
    told = upload_of(address).told
    assert {name: told[name] for name in ("rows", "created", "refused")} == {"rows": 4, "created": 3, "refused": 1}
    assert told["made"] == ["survey shop"] and "It makes: survey shop." in tried.text
    assert db.session.scalar(select(func.count(Response.id))) == 0

    admin.post(f"{address}/start")
    work()
    done = admin.get(address)
    assert upload_of(address).state == UploadState.DONE
    assert [(row[0], row[1]) for row in responses()] == [("A-1", 1), ("A-2", 2), ("A-3", 5)]
    assert db.session.scalar(select(func.count()).where(Case.off_desk)) == 2
    assert "2 cases, off the desk." in done.text
    for model in (Message, Reward):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0, model
    assert "shop.csv" in admin.get("/imports").text


def test_both_kinds_of_file_give_the_same_rows(admin: Client) -> None:
    for name, content in (("shop.csv", as_csv()), ("shop.xlsx", as_xlsx())):
        address = matched(admin, content, name, survey=name.replace(".", "_"))
        admin.post(f"{address}/start")
    work()

    by_survey: dict[int, list[Any]] = {}
    columns = (Response.survey_id, Response.import_key, Response.score, Response.answered_at, Response.comment)
    for survey_id, *rest in db.session.execute(select(*columns, Response.attributes).order_by(Response.import_key)):
        by_survey.setdefault(survey_id, []).append(rest)
    first, second = by_survey.values()
    assert first == second and len(first) == 3
    refused = select(ImportRefusal.line, ImportRefusal.column, ImportRefusal.reason)
    assert len(set(db.session.execute(refused).all())) == 1


def test_what_was_taken_in_is_not_kept_as_a_file_as_well(admin: Client) -> None:
    address = matched(admin)
    admin.post(f"{address}/start")
    work()

    upload = upload_of(address)
    assert (db.session.scalar(select(File.content)), upload.file.erased_at is not None) == (b"", True)
    assert upload.look["columns"] == [] and "00501" not in str(upload.look)


def test_the_refused_rows_are_a_csv_in_which_nothing_is_a_formula(admin: Client) -> None:
    rows = [(*ROWS[0][:2], "=1+1", *ROWS[0][3:])]
    address = matched(admin, as_csv(rows))
    admin.post(f"{address}/start")
    work()

    run = db.session.scalars(select(ImportRun)).one()
    answer = admin.get(f"/imports/runs/{run.public_id}/refusals.csv")
    assert list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))) == [
        ["line", "column", "reason"],
        ["2", "Answered", "'=1+1' is not written as in 2026-02-28T14:30+00:00 (iso)."],
    ]
    assert answer.headers["Content-Disposition"].endswith("refused-shop.csv")


def test_a_mapping_is_saved_as_the_file_that_the_command_reads_and_used_again(admin: Client) -> None:
    address = matched(admin)
    admin.post(f"{address}/start")
    work()
    run = db.session.scalars(select(ImportRun)).one()

    saved = admin.get(f"/imports/runs/{run.public_id}/mapping.toml")
    assert tomllib.loads(saved.text) == run.mapping

    again = uploaded(
        admin, as_csv(ROWS[:1]), "again.csv", mapping=FileStorage(io.BytesIO(saved.data), filename="shop.toml")
    )
    assert upload_of(again).mapping == run.mapping
    like = uploaded(admin, as_csv(ROWS[:1]), "like.csv", like=run.public_id)
    page = admin.get(f"{like}/columns")
    assert bad(page) == {} and 'value="shop"' in page.text


def test_a_mapping_that_the_fields_cannot_say_is_edited_as_text(admin: Client) -> None:
    mapping = (ROOT / "tests/data/mappings/sfo.toml").read_bytes()
    headers = ("RESPNUM", "CCGID", "INTDATE", "RUN", "NETPRO")
    content = as_csv([("1", "2", "13", "3", "10"), ("2", "2", "14", "3", "11")], headers)
    address = uploaded(admin, content, "sfo.csv", mapping=FileStorage(io.BytesIO(mapping), filename="sfo.toml"))

    page = admin.get(f"{address}/columns")
    assert "<textarea" in page.text and "base = &#34;2017-05-01&#34;" in page.text
    data = {"as": "text", "kind": "responses", "toml": mapping.decode()}
    broken = admin.post(f"{address}/columns", data=data | {"toml": mapping.decode().replace("NETPRO", "SCORE")})
    assert broken.status_code == 422
    assert bad(broken)["toml"].startswith("The mapping names the column 'SCORE', which the file lacks.")
    admin.post(f"{address}/columns", data=data)
    admin.post(f"{address}/start")
    work()

    assert [row[1] for row in responses()] == [10, None]


# Refused at the field


def test_a_column_that_the_file_lacks_is_refused_at_its_field_and_what_was_typed_is_kept(admin: Client) -> None:
    address = uploaded(admin)

    page = admin.post(f"{address}/columns", data=FIELDS | {"comment__column": "Words", "channel__value": "my channel"})

    assert page.status_code == 422
    assert list(bad(page)) == ["comment__column"]
    assert (
        "names the column &#39;Words&#39;, which the file lacks. The file&#39;s columns: &#39;Order no&#39;"
        in page.text
    )
    assert "Words (not in this file)" in page.text and 'value="my channel"' in page.text
    assert upload_of(address).state == UploadState.CHOOSING


def test_an_earlier_mapping_shows_at_once_which_column_another_file_lacks(admin: Client) -> None:
    admin.post(f"{matched(admin)}/start")
    work()
    run = db.session.scalars(select(ImportRun)).one()

    address = uploaded(admin, as_csv([row[:4] for row in ROWS], HEADERS[:4]), like=run.public_id)

    assert list(bad(admin.get(f"{address}/columns"))) == ["comment__column"]


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"score__column": ""}, "score__column", "Choose the column of"),
        ({"key": ""}, "key", "tell one row from another"),
        ({"survey": ""}, "survey", "A text is needed here"),
        ({"answered_at__other": "%d.%Q"}, "answered_at__format", "lacks %Y, %m"),
        ({"answered_at__column": "Comment", "answered_at__format": "auto"}, "answered_at__format", "none of the known"),
        ({"score__map": "five"}, "score__map", "is not of the form"),
        ({"channel__column": "ZIP"}, "channel__value", "not both"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_at_its_field(
    changed: dict[str, str], field: str, words: str, admin: Client
) -> None:
    address = uploaded(admin)

    page = admin.post(f"{address}/columns", data=FIELDS | changed)

    assert page.status_code == 422
    assert words in bad(page)[field]
    assert f'href="#{field}' in page.text


def test_a_date_that_can_be_read_in_two_ways_has_to_be_chosen(admin: Client) -> None:
    rows = [("A-1", "1", "03/02/2024", "1", "", ""), ("A-2", "1", "04/02/2024", "1", "", "")]
    address = uploaded(admin, as_csv(rows))

    unclear = admin.post(f"{address}/columns", data=FIELDS | {"answered_at__format": "auto"})
    assert "can be read in several ways" in bad(unclear)["answered_at__format"]
    assert admin.post(f"{address}/columns", data=FIELDS | {"answered_at__format": "%d/%m/%Y"}).status_code == 302

    assert "3 Feb 2024" in admin.get(address).text


def test_a_survey_that_asks_something_else_is_refused_at_its_field(admin: Client) -> None:
    admin.post(f"{matched(admin)}/start")
    work()

    page = admin.post(f"{uploaded(admin)}/columns", data=FIELDS | {"metric": "nps"})

    assert bad(page)["survey"] == "The survey 'shop' asks for csat, and the mapping reads nps."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"Only,header\n", "no row below it"),
        (b"just words\nand more\n", "Only one column was found"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "neither a CSV nor an XLSX"),
        (b"%PDF-1.7\n%\xe2\xe3", "neither a CSV nor an XLSX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older kind (.xls)"),
        (b"PK\x03\x04 and nothing that follows", "The workbook is damaged"),
        (as_xlsx([], ("",)), "no sheet with rows"),
    ],
)
def test_a_file_that_is_no_table_is_refused_at_its_field(content: bytes, words: str, admin: Client) -> None:
    page = send(admin, content)

    assert (page.status_code, words in bad(page)["file"]) == (422, True), bad(page)
    assert db.session.scalar(select(func.count(File.id))) == 0


def test_no_file_at_all_is_refused_at_its_field(admin: Client) -> None:
    page = admin.post("/imports/new", data={})

    assert bad(page)["file"] == "Choose the file that you want to import."


@pytest.mark.parametrize("most", [1, 0])
def test_a_large_file_is_refused_at_its_field(most: int, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_MEGABYTES", most)
    monkeypatch.setattr(uploads, "MEGABYTE", 1024)

    page = send(admin, as_csv(ROWS * (20 if most else 400)))

    assert page.status_code in (413, 422)
    assert bad(page)["file"].startswith(f"The file is larger than {most} MB.")


def test_a_mapping_file_that_is_none_is_refused_at_its_field(admin: Client) -> None:
    page = send(admin, as_csv(), mapping=FileStorage(io.BytesIO(b"not = toml = at all"), filename="x.toml"))

    assert bad(page)["mapping"].startswith("This mapping cannot be read: Invalid")


def test_rows_that_contradict_what_is_here_stop_the_import_and_say_so(admin: Client) -> None:
    rows = [(f"A-{n}", "1", "2024-03-02T09:00", "1", "", f"place {n}") for n in range(300)]
    address = matched(admin, as_csv(rows), touchpoint__column="ZIP", attributes="")

    admin.post(f"{address}/start")
    work()

    assert upload_of(address).state == UploadState.REFUSED
    assert "more than 200 touchpoints" in admin.get(address).text
    assert db.session.scalar(select(func.count(Response.id))) == 0


# Interrupted, stopped, twice


def many(number: int) -> bytes:
    """Return a file of so many answers, a dozen a customer."""
    return as_csv([(f"A-{n}", str(n // 12), "2024-03-02T09:00", str(n % 5 + 1), "", "") for n in range(number)])


def test_a_worker_that_is_killed_in_the_middle_loses_no_row_and_doubles_none(
    admin: Client, app: Flask, environment: dict[str, str]
) -> None:
    address = matched(admin, many(6000))
    admin.post(f"{address}/start")
    program = "import wsgi; from core import outbox\nwith wsgi.create_app().app_context(): outbox.drain('reports')"
    worker = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=ROOT)
    try:
        while not db.session.scalar(select(ImportRun.next_line).where(ImportRun.next_line > 1)):
            db.session.rollback()
            assert worker.poll() is None
            time.sleep(0.01)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    db.session.rollback()
    taken = db.session.scalar(select(func.count(Response.id))) or 0
    assert 0 < taken < 6000
    assert "of 6,000 rows" in admin.get(address).text

    with clock.moved(outbox.LEASE + timedelta(seconds=1)):
        work()

    upload = upload_of(address)
    assert upload.state == UploadState.DONE
    assert upload.told["rows"] == upload.told["created"] == 6000
    assert upload.told["resumed_at"] and upload.told["resumed_at"] > 1
    assert db.session.scalar(select(func.count(Response.id))) == 6000


def test_a_step_ends_after_its_time_and_the_rest_follows_in_the_next(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "STEP", timedelta(0))
    steps: list[int] = []
    take = importing.take

    def small(*args: Any, **more: Any) -> Any:
        steps.append(1)
        return take(*args, **more, size=10)

    monkeypatch.setattr(importing, "take", small)
    address = matched(admin, many(30))
    admin.post(f"{address}/start")
    work()

    assert len(steps) == 4  # three batches, and one that finds nothing left
    assert db.session.scalar(select(func.count(Response.id))) == 30
    assert upload_of(address).state == UploadState.DONE


def test_an_import_that_is_stopped_keeps_its_rows_and_goes_on_when_it_is_started_again(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = matched(admin, many(2500))
    admin.post(f"{address}/start")
    take = importing.take

    def interrupted(*args: Any, **more: Any) -> Any:
        for number, progress in enumerate(take(*args, **more)):
            if number == 1:
                db.session.execute(text("UPDATE import_upload SET state = 'ready'"))
            yield progress

    with monkeypatch.context() as patched:
        patched.setattr(importing, "take", interrupted)
        work()
    page = admin.get(address)
    assert "Go on at line 1,002" in page.text
    admin.post(f"{address}/start")
    work()

    assert upload_of(address).told["rows"] == 2500
    assert db.session.scalar(select(func.count(Response.id))) == 2500


def test_a_double_click_starts_one_import(admin: Client) -> None:
    address = matched(admin)

    admin.post(f"{address}/start")
    second = admin.post(f"{address}/start", follow_redirects=True)

    assert "This import has moved on" in second.text
    assert db.session.scalar(select(func.count(Work.id)).where(Work.handler == "import.go")) == 1


def test_the_same_file_again_says_that_nothing_is_new(admin: Client) -> None:
    for _ in range(2):
        address = matched(admin)
        admin.post(f"{address}/start")
        work()

    page = admin.get(address)
    assert "Nothing was new, so nothing was changed." in page.text
    assert upload_of(address).told["known"] == 3
    assert db.session.scalar(select(func.count(ImportRun.id))) == 1


def test_an_import_of_the_same_file_by_another_process_is_waited_for(admin: Client, app: Flask) -> None:
    address = matched(admin)
    admin.post(f"{address}/start")
    digest = upload_of(address).file.sha256

    with importing.alone(digest, waiting=lambda: pytest.fail("nobody else is there")):
        work()
        assert upload_of(address).state == UploadState.RUNNING
        assert db.session.scalar(select(func.count(Response.id))) == 0
    with clock.moved(timedelta(seconds=6)):
        work()

    assert upload_of(address).state == UploadState.DONE


def test_a_file_is_discarded_with_its_content_and_a_forgotten_one_after_a_week(admin: Client) -> None:
    first, second = uploaded(admin), matched(admin)

    admin.post(f"{first}/discard")
    assert db.session.scalar(select(func.count(File.id))) == 1
    assert uploads.forget(now=clock.now()) == 0
    assert uploads.forget(now=clock.now() + timedelta(days=8)) == 1

    assert (db.session.scalar(select(func.count(File.id))), admin.get(second).status_code) == (0, 404)


# Who, and how much it costs


def test_somebody_of_another_brand_finds_nothing_of_it(admin: Client, app: Flask) -> None:
    address = matched(admin)
    admin.post(f"{address}/start")
    work()
    run = db.session.scalars(select(ImportRun)).one()
    other = app.test_client()
    other.sign_in(make_staff("admin", team=make_team(make_brand())))

    assert other.get(address).status_code == 404
    assert other.get(f"/imports/runs/{run.public_id}/refusals.csv").status_code == 404
    assert "shop.csv" not in other.get("/imports").text


def test_the_list_costs_the_same_whatever_its_length(admin: Client) -> None:
    counts = []
    for number in (1, 2):
        for _ in range(number):
            admin.post(f"{matched(admin, as_csv([(f'N-{number}{_}', *ROWS[0][1:])]))}/start")
            uploaded(admin)
        work()
        admin.get("/imports")
        with count_queries() as queries:
            admin.get("/imports")
        counts.append(queries.count)

    assert counts[0] == counts[1] <= 8


# Real files


@pytest.mark.data
def test_cfpbs_complaints_are_guessed_right_and_taken_in(admin: Client, data: Path) -> None:
    address = uploaded(admin, (data / "complaints/cfpb_2015_jan_feb.csv").read_bytes(), "cfpb.csv")
    page = admin.get(f"{address}/columns")
    typed = dict(
        re.findall(r'<select[^>]*name="(\w+)"(?:(?!</select>).)*?<option selected value="([^"]*)"', page.text, re.S)
    )
    wanted = {
        "received_at__column": "Date received",
        "received_at__format": "%m/%d/%Y",
        "text__column": "Issue",
        "text__second": "Sub-issue",
        "category__column": "Issue",
        "product__column": "Product",
        "reference__column": "Complaint ID",
        "state__column": "Company response",
        "reopened__column": "Consumer disputed?",
    }
    assert {name: typed.get(name) for name in wanted} == wanted
    maps = dict(re.findall(r'<textarea[^>]*name="(\w+)"[^>]*>\s*(.*?)</textarea>', page.text, re.S))
    fields = wanted | maps | {"kind": "complaints", "zone": "America/New_York", "key": "Complaint ID"}
    fields |= {"text__default": "No issue stated", "attributes": ["Product", "ZIP code", "Timely response?"]}
    answer = admin.post(f"{address}/columns", data=fields)
    assert answer.status_code == 302, bad(answer)

    with count_queries() as queries:
        admin.post(f"{address}/start")
        while upload_of(address).state == UploadState.RUNNING:
            work()

    batches = -(-24_858 // importing.BATCH)
    assert queries.count < 15 * batches
    told = upload_of(address).told
    assert {name: told[name] for name in ("rows", "created", "refused")} == {
        "rows": 24858,
        "created": 24858,
        "refused": 0,
    }
    assert told["beside"] == {"cases": 24858, "reopened": 4293}
    zips = Complaint.attributes["ZIP code"].astext
    assert db.session.scalar(select(func.count()).where(func.length(zips) < 5)) == 2076
    assert db.session.scalar(select(func.count()).where(Case.reopened == 1)) == 4293


@pytest.mark.data
def test_olists_orders_and_reviews_come_in_with_their_mapping(admin: Client, data: Path) -> None:
    content = (data / "responses/olist_classified_2017.csv").read_bytes()
    mapping = (ROOT / "tests/data/mappings/olist.toml").read_bytes()
    for kind in ("interactions", "responses"):
        address = uploaded(admin, content, "olist.csv", mapping=FileStorage(io.BytesIO(mapping), filename="olist.toml"))
        answer = admin.post(f"{address}/columns", data={"as": "text", "kind": kind, "toml": mapping.decode()})
        assert answer.status_code == 302, bad(answer)
        admin.post(f"{address}/start")
        work()

    assert db.session.scalar(select(func.count(Interaction.id))) == 2248
    assert db.session.scalar(select(func.count(Response.interaction_id))) == 2256
    assert upload_of(address).told["doubled"] == 300
    assert db.session.scalar(select(func.count(Case.id))) == 608
