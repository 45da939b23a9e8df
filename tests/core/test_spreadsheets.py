"""Exports that no spreadsheet calculates."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from core import spreadsheets

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=40)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\uff1d1"])
def test_what_a_spreadsheet_might_calculate_is_text(text: str) -> None:
    written = spreadsheets.to_csv(("a",), [(text,)])

    (cell,) = list(csv.reader(io.StringIO(written, newline="")))[1]
    assert cell.startswith("'")
    assert cell.replace("'", "") == text


def test_numbers_stay_numbers_also_negative_ones() -> None:
    assert spreadsheets.to_csv(("a", "b"), [(-3.5, None)]).splitlines()[1] == '-3.5,""'


@given(st.lists(st.tuples(CELLS, st.sampled_from("=+-@;,\t\"'")), max_size=5))
@example([("", "="), ("=1", ";")])
@example([("", "="), (' "=1', ";")])
@example([("", "="), ("=1", "\t")])
def test_every_text_is_one_cell_whatever_cuts_it_and_begins_like_no_formula(cells: list[tuple[str, str]]) -> None:
    row = tuple(sign + text for text, sign in cells) or ("",)

    written = spreadsheets.to_csv(["x"] * len(row), [row])

    for delimiter in ",;\t":
        for cell in list(csv.reader(io.StringIO(written, newline=""), delimiter=delimiter))[1]:
            assert not cell.strip().startswith(tuple("=+-@\t\r"))
    assert [cell.replace("'", "") for cell in list(csv.reader(io.StringIO(written, newline="")))[1]] == [
        cell.replace("'", "") for cell in row
    ]


def test_a_line_of_a_text_is_no_formula_either_where_it_becomes_a_row() -> None:
    written = spreadsheets.to_csv(("a", "b"), [("=", "one\n=1+1\r\n@SUM(1)")])

    for delimiter in ",;\t":
        for line in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter):
            assert not any(cell.strip().startswith(("=", "+", "-", "@")) for cell in line)
    assert "one\n'=1+1" in written


@given(st.lists(CELLS.filter(lambda text: text.strip()), min_size=1, max_size=5))
def test_xlsx_keeps_every_text_and_holds_no_formula(cells: list[str]) -> None:
    row = [*cells, "=1+1", "https://evil.example", "007"]

    content = spreadsheets.to_xlsx([f"c{n}" for n in range(len(row))], [row], sheet="x")

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = b"".join(archive.read(name) for name in archive.namelist())
    assert b"<f>" not in parts and b"<hyperlink" not in parts
    assert CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()[1] == row


@pytest.mark.data
def test_no_line_of_the_known_injections_is_calculated(data: Path) -> None:
    lines = (data / "hostile/csv_injection.txt").read_text().splitlines()

    written = spreadsheets.to_csv(("a",), [(line,) for line in lines])

    cells = [row[0] for row in csv.reader(io.StringIO(written, newline=""))][1:]
    assert len(cells) == len(lines) > 10
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))] == []
