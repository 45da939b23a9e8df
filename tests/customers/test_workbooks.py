"""XLSX files as tables, a first look at a file, and mappings written as text."""

from __future__ import annotations

import io
import tomllib
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from customers import looks, workbooks
from customers.mapping_format import Kind, from_table
from customers.mapping_text import written
from customers.tables import BadFile, FileFormat, open_table

MAPPINGS = Path(__file__).parents[1] / "data/mappings"


def book(fill: Any) -> io.BytesIO:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as made:
        fill(made)
    file.seek(0)
    return file


def test_a_sheet_reads_as_the_csv_file_of_it_would_and_keeps_its_row_numbers() -> None:
    def fill(made: Any) -> None:
        made.add_worksheet("Nothing")
        hidden = made.add_worksheet("Hidden")
        hidden.write(0, 0, "secret")
        sheet = made.add_worksheet("Rows")
        hidden.hide()
        sheet.write_row(2, 1, ["zip", "when", "day", "sum", "yes"])
        moment, day = made.add_format({"num_format": "yyyy-mm-dd hh:mm"}), made.add_format({"num_format": "dd/mm/yyyy"})
        sheet.write_string(4, 1, "00501")
        sheet.write_datetime(4, 2, datetime(2024, 3, 1, 8), moment)
        sheet.write_datetime(4, 3, datetime(2024, 3, 1), day)
        sheet.write_number(4, 4, 3.0)
        sheet.write_boolean(4, 5, True)
        sheet.write_number(5, 4, 1.25)

    headers, rows = open_table(book(fill), FileFormat())

    assert headers == ["zip", "when", "day", "sum", "yes"]
    assert list(rows) == [
        (5, ["00501", "2024-03-01T08:00:00", "2024-03-01", "3", "TRUE"]),
        (6, ["", "", "", "1.25", ""]),
    ]


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 1 << 20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/sharedStrings.xml", b" " * (5 << 20))

    with pytest.raises(BadFile, match="unpacks to more than"):
        open_table(file, FileFormat())


def test_a_cell_in_the_farthest_corner_is_refused() -> None:
    def fill(made: Any) -> None:
        sheet = made.add_worksheet()
        sheet.write(0, 0, "a")
        sheet.write(1_048_575, 16_383, "b")

    with pytest.raises(BadFile, match=r"row 1,048,576 and one in column 16,384"):
        open_table(book(fill), FileFormat())


def test_an_archive_that_is_no_workbook_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")

    with pytest.raises(BadFile, match="an archive and no XLSX"):
        open_table(file, FileFormat())


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (b"a,b\n1,2\n", {}),
        ("a;b\n1,5;2\n".encode("utf-8-sig"), {"delimiter": ";"}),
        ("größe;b\n1;2\n".encode("cp1252"), {"encoding": "cp1252", "delimiter": ";"}),
        ("a\tb\n1\t2\n".encode("utf-16"), {"encoding": "utf-16", "delimiter": "\t"}),
    ],
)
def test_encoding_and_delimiter_are_found(content: bytes, layout: dict[str, str]) -> None:
    look = looks.look(io.BytesIO(content))

    assert look.layout == layout
    assert (len(look.headers), look.rows, look.columns[1].samples) == (2, 1, ["2"])


def test_the_formats_of_dates_are_those_in_which_all_of_them_are() -> None:
    rows = "a,b,c,d\n2/28/2015,01/02/2024,2024-03-01T08:00,x\n3/1/2015,02/01/2024,2024-03-02,y\n"

    found = looks.look(io.BytesIO(rows.encode()))

    assert [column.formats for column in found.columns] == [["%m/%d/%Y"], ["%m/%d/%Y", "%d/%m/%Y"], ["iso"], []]
    assert looks.Look.of(found.kept()) == found


def test_a_slip_among_many_dates_hides_their_format_from_nobody() -> None:
    days = [f"2026-01-{day:02} 10:15" for day in range(1, 21)]

    assert looks.fitting([*days, "31.31.2026"]) == ["iso"]
    assert looks.fitting([*days[:3], "31.31.2026"]) == []
    assert looks.fitting([]) == []


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12)
SCALARS = st.one_of(NAMES, st.integers(-9999, 9999), st.booleans())
TABLES = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda inner: st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=3), inner), max_size=5),
    max_leaves=12,
)


@given(TABLES)
def test_a_table_written_as_toml_is_read_as_the_same_table(table: dict[str, Any]) -> None:
    assert tomllib.loads(written(table)) == table


@pytest.mark.parametrize("name", ["cfpb", "olist", "sfo"])
def test_a_kept_mapping_written_as_toml_is_the_same_mapping(name: str) -> None:
    document = tomllib.loads((MAPPINGS / f"{name}.toml").read_text())
    kind = next(kind for kind in Kind if kind in document)
    mapping = from_table(document, kind=kind)

    assert from_table(tomllib.loads(written(mapping.table)), kind=kind) == mapping
