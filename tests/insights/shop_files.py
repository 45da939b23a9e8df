"""A shop's file of answers, and an administrator who imports it on the pages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import select
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from core import outbox
from core.db import db
from insights.models import Upload
from tests.client import Client
from tests.factories import make_brand, make_staff

HEADERS = ("Order no", "Customer ID", "Answered", "Stars", "Comment", "ZIP")
ROWS = (
    ("A-1", "00501", "2024-03-02T09:00", "1", "Too late", "00501"),
    ("A-2", "00502", "2024-03-02T10:00", "2", "=cmd|' /C calc'!A0", "00502"),
    ("A-3", "00503", "2024-03-03T09:00", "5", "", "00503"),
    ("A-4", "00503", "yesterday", "9", "No stars", "00504"),
)
FIELDS = {
    "kind": "responses",
    "zone": "UTC",
    "metric": "csat",
    "survey": "shop",
    "score__column": "Stars",
    "score__missing": "9",
    "answered_at__column": "Answered",
    "answered_at__format": "iso",
    "comment__column": "Comment",
    "channel__value": "email",
    "customer_external_id__column": "Customer ID",
    "key": "Order no",
    "attributes": "ZIP",
}


@pytest.fixture
def admin(client: Client) -> Client:
    make_brand(key="northwind", zone="UTC")
    client.sign_in(make_staff("admin"))
    return client


def as_csv(rows: Sequence[Sequence[Any]] = ROWS, headers: Sequence[str] = HEADERS) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([headers, *rows])
    return file.getvalue().encode()


def as_xlsx(rows: Sequence[Sequence[Any]] = ROWS, headers: Sequence[str] = HEADERS) -> bytes:
    """The same rows as a spreadsheet keeps them: numbers as numbers, moments as moments, the rest as text."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.add_worksheet("Empty")
        sheet, moment = book.add_worksheet("Rows"), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_row(0, 0, headers)
        for line, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if headers[column] == "Stars":
                    sheet.write_number(line, column, int(cell))
                elif headers[column] == "Answered" and cell[:2] == "20":
                    sheet.write_datetime(line, column, datetime.fromisoformat(cell), moment)
                else:
                    sheet.write_string(line, column, cell)
    return file.getvalue()


def send(client: Client, content: bytes, name: str = "shop.csv", **more: Any) -> TestResponse:
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(content), filename=name), **more})
    return client.post("/imports/new", data=body, content_type=f'multipart/form-data; boundary="{boundary}"')


def uploaded(client: Client, content: bytes | None = None, name: str = "shop.csv", **more: Any) -> str:
    """Upload a file; return the address of its import."""
    answer = send(client, as_csv() if content is None else content, name, **more)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"].removesuffix("/columns")


def matched(client: Client, content: bytes | None = None, name: str = "shop.csv", **changed: str) -> str:
    address = uploaded(client, content, name)
    answer = client.post(f"{address}/columns", data=FIELDS | changed)
    assert answer.status_code == 302, re.findall(r'class="bad"[^>]*>([^<]*)', answer.text)
    return address


def upload_of(address: str) -> Upload:
    return db.session.scalars(select(Upload).where(Upload.public_id == address.rpartition("/")[2])).one()


def work() -> None:
    """Do what waits behind the requests, as a worker does."""
    db.session.commit()
    outbox.drain("reports")
    db.session.rollback()
    db.session.expire_all()
