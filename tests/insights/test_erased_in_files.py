"""A customer is erased while files that name them wait, or are being imported, on pages."""

from __future__ import annotations

import io
from typing import Any

import pytest
import xlsxwriter
from flask import Flask
from sqlalchemy import func, select

from core import clock
from core.db import db
from core.files import File
from customers import erasure, importing
from customers.models import Customer, ImportRefusal
from insights import named
from insights.models import UploadState
from surveys.models import Response
from tests.client import Client
from tests.customers.races import meanwhile
from tests.factories import make_customer
from tests.insights.shop_files import ROWS, as_csv, matched, upload_of, uploaded, work
from tests.insights.shop_files import admin as admin


def test_whoever_looks_through_a_large_file_says_that_they_live() -> None:
    breaths: list[int] = []
    lines = ("a,b,c,d,e\n" * (2 * named.CELLS_A_BREATH // 5)).encode()

    assert not named.is_named(io.BytesIO(lines), {}, {"x"}, alive=lambda: breaths.append(1))

    assert len(breaths) >= 2


def erased(**known: str) -> None:
    erasure.erase(make_customer(**known), by="system", now=clock.now())
    db.session.commit()


ADDRESS = "hanna@shop.example"
NAMING = as_csv([*ROWS, ("A-5", "NW-00577", "2024-03-03T09:00", "5", f"write to <{ADDRESS}>.", "")])


@pytest.mark.parametrize(
    "known",
    [
        {"external_id": "NW-00577", "email": ""},
        {"external_id": "x", "email": "Hanna@Shop.example"},
        {"external_id": "nw-00577", "email": ADDRESS},
    ],
)
def test_a_file_that_names_somebody_erased_is_thrown_away_and_its_uploader_told(
    admin: Client, known: dict[str, str]
) -> None:
    address, unmatched = matched(admin, NAMING), uploaded(admin, NAMING)

    erased(**known)
    assert ADDRESS not in admin.get(address).text
    assert "Such as A-1" not in admin.get(f"{unmatched}/columns").text
    work()

    for each in (address, unmatched):
        upload = upload_of(each)
        assert (upload.state, upload.look["columns"], upload.sought) == (UploadState.ERASED, [], [])
        page = admin.get(each)
        assert "It held a customer whose record was erased meanwhile." in page.text and "shop.csv" in page.text
        assert admin.get(f"{each}/columns").status_code == 302
    assert set(db.session.scalars(select(File.content))) == {b""}
    assert "Thrown away" in admin.get("/imports").text
    admin.post(f"{address}/start")
    work()
    assert db.session.scalar(select(func.count(Response.id))) == 0


@pytest.mark.parametrize(
    "known",
    [
        {"name": "Maria", "external_id": "nobody", "email": ""},
        {"name": "Mariannen", "external_id": "W-005", "email": "a@shop.example"},
    ],
)
def test_a_name_or_a_part_of_a_cell_takes_nobody_s_file(admin: Client, known: dict[str, str]) -> None:
    rows = [("A-1", "NW-0057", "2024-03-02T09:00", "1", "Mariannenstraße 5, Maria, hanna@shop.example", "NW-00577")]
    address = matched(admin, as_csv(rows))

    erased(**known)
    work()

    assert (upload_of(address).state, upload_of(address).sought) == (UploadState.READY, [])
    assert "Mariannenstraße" in admin.get(address).text


@pytest.mark.parametrize("dry", [True, False])
def test_a_file_under_way_is_looked_through_before_its_next_batch(
    admin: Client, dry: bool, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"A-{n}", f"NW-{n:05}", "2024-03-02T09:00", "5", "", "") for n in range(30)]
    address = matched(admin, as_csv(rows))
    admin.post(f"{address}/{'try' if dry else 'start'}")
    take = importing.take

    def erased_within(*args: Any, **more: Any) -> Any:
        for number, progress in enumerate(take(*args, **more, size=10)):
            if number == 2:
                with meanwhile(app, lambda: erased(external_id="NW-00025")):
                    pass
            yield progress

    with monkeypatch.context() as patched:
        patched.setattr(importing, "take", erased_within)
        work()
    work()

    assert upload_of(address).state == UploadState.ERASED
    assert db.session.scalar(select(func.count(Response.id))) == (0 if dry else 10)
    assert "NW-00025" not in set(db.session.scalars(select(Customer.external_id)))
    assert "It held a customer" in admin.get(address).text


def test_every_sheet_of_a_workbook_is_looked_through(admin: Client) -> None:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet("Rows").write_column(0, 0, ["Id", "1", "2"])
        book.get_worksheet_by_name("Rows").write_column(0, 1, ["Text", "a", "b"])
        hidden = book.add_worksheet("Notes")
        hidden.write_string(3, 3, ADDRESS)
        hidden.hide()
    address = uploaded(admin, file.getvalue(), "notes.xlsx")

    erased(email=ADDRESS)
    work()

    assert upload_of(address).state == UploadState.ERASED


def test_what_refused_rows_quote_goes_for_whole_names_and_leaves_others(admin: Client) -> None:
    names = ("Anna Weiß", "Anna Weißmann", "Anna", "anna@weiß.example")
    address = matched(admin, as_csv([(f"A-{n}", "1", name, "1", "", "") for n, name in enumerate(names)]))
    admin.post(f"{address}/start")
    work()

    erased(name="Anna Weiß", email="anna@weiß.example", external_id="1")
    work()

    reasons = [*db.session.scalars(select(ImportRefusal.reason).order_by(ImportRefusal.line))]
    told = [reason for _line, _column, reason in upload_of(address).told["problems"]]
    gone = "What this said was erased with its customer."
    for said in (reasons, told):
        assert [said[0], said[3]] == [gone, gone]
        assert "Anna Weißmann" in said[1] and "Anna" in said[2]
