from __future__ import annotations

import csv
import gc
import io
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from customers.mapping import (
    AmbiguousColumn,
    BadFile,
    BadMapping,
    ComplaintRecord,
    InteractionRecord,
    Missing,
    MissingColumn,
    Record,
    ResponseRecord,
    RowProblem,
    State,
    bind,
    from_table,
    load,
    read,
)
from surveys.scoring import csat, nps

MAPPINGS = Path(__file__).parent.parent / "data" / "mappings"
MINIMAL = """
    zone = "Europe/Berlin"
    [responses]
    survey = "s"
    metric = "csat"
    key = ["id"]
    score = "stars"
    answered_at = "at"
"""


def rows(mapping: str, content: str | bytes, *, kind: str = "responses") -> list[Any]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read(io.BytesIO(raw), load(mapping, kind=kind)))


def one(mapping: str, content: str | bytes, *, kind: str = "responses") -> Any:
    (only,) = rows(mapping, content, kind=kind)
    return only


def with_field(line: str) -> str:
    """The minimal mapping with one more line for its responses."""
    return MINIMAL + "\n" + line


def moment(text: str, source: str) -> datetime | str:
    """What `source` makes of a cell: the moment, or the reason why there is none."""
    mapping = MINIMAL.replace('answered_at = "at"', f"answered_at = {source}")
    found = one(mapping, f'id,stars,at\n1,5,"{text}"\n')
    return found.reason if isinstance(found, RowProblem) else found.answered_at


# Columns


def test_a_row_becomes_a_typed_record() -> None:
    found = one(with_field('comment = "words"'), "id,stars,at,words\n7,5,2026-01-14T10:00:00,  all good \n")

    assert found == ResponseRecord(
        line=2,
        key="7",
        survey="s",
        metric="csat",  # type: ignore[arg-type]
        score=5,
        answered_at=datetime(2026, 1, 14, 9, tzinfo=UTC),
        comment="all good",
    )


@pytest.mark.parametrize(
    "header",
    [
        "id,stars,at",
        "id ,  stars\t,at   ",
        "ID,Stars,AT",
        "*id,stars,at",
        "id,St-ars,a_t",
        "\ufeffid,stars,at",
        "i d,ｓｔａｒｓ,at",
    ],
)
def test_slightly_other_headers_are_the_same_columns(header: str) -> None:
    found = one(MINIMAL, f"{header}\n7,5,2026-01-14\n")

    assert (found.key, found.score) == ("7", 5)


def test_columns_are_found_in_any_order_and_beside_an_index_without_a_header() -> None:
    found = one(MINIMAL, ",at,extra,stars,id\n0,2026-01-14,x,4,7\n")

    assert (found.key, found.score) == ("7", 4)


def test_a_column_may_have_gone_by_other_names() -> None:
    aliased = with_field('[columns]\nstars = ["rating", "grade"]')

    assert one(aliased, "id,GRADE ,at\n7,4,2026-01-14\n").score == 4
    assert one(aliased, "id,grade,at,stars\n7,1,2026-01-14,3\n").score == 3


def test_a_missing_column_is_refused_before_any_row_with_the_headers_there_are() -> None:
    mapping = load(MINIMAL, kind="responses")

    with pytest.raises(MissingColumn, match="'stars', which the file lacks") as refused:
        read(io.BytesIO(b"id,score,at\n7,5,2026-01-14\n"), mapping)  # not even asked for a row yet

    assert refused.value.column == "stars"
    assert refused.value.headers == ("id", "score", "at")
    assert "'score'" in str(refused.value)


def test_an_optional_column_may_be_lacking() -> None:
    mapping = with_field('comment = { column = "words", optional = true }')

    assert one(mapping, "id,stars,at\n7,5,2026-01-14\n").comment is None
    assert one(mapping, "id,stars,at,words\n7,5,2026-01-14,yes\n").comment == "yes"


def test_a_column_that_is_there_twice_is_refused_only_where_it_is_needed() -> None:
    assert one(MINIMAL, "id,stars,at,note,note\n7,5,2026-01-14,a,b\n").score == 5
    with pytest.raises(AmbiguousColumn, match="several"):
        rows(MINIMAL, "id,stars,at,stars\n7,5,2026-01-14,4\n")
    with pytest.raises(AmbiguousColumn):
        rows(MINIMAL, "id,Stars,at,STARS\n7,5,2026-01-14,4\n")
    assert one(MINIMAL, "id,stars,at,STARS\n7,5,2026-01-14,4\n").score == 5  # as it stands comes first


def test_tables_that_are_no_csv_are_bound_by_their_headers() -> None:
    binding = bind(load(MINIMAL, kind="responses"), ["at", "id", "stars"])

    found = binding.record(12, ["2026-01-14", "7", "5"])
    problems = binding.record(13, ["2026-01-14", "8", "9"])

    assert isinstance(found, ResponseRecord) and found.line == 12
    assert isinstance(problems, list) and problems[0].line == 13


# Keys


def test_a_key_of_several_columns_tells_their_rows_apart() -> None:
    mapping = MINIMAL.replace('["id"]', '["a", "b"]')

    keys = [row.key for row in rows(mapping, "a,b,stars,at\nx|y,z,5,2026-01-14\nx,y|z,5,2026-01-14\nx,,5,2026-01-14\n")]

    assert keys == [r"x\|y|z", r"x|y\|z", "x|"]


@given(st.lists(st.tuples(*[st.text(alphabet="ab|\\", max_size=3)] * 3), min_size=2, max_size=6, unique=True))
def test_different_parts_never_give_the_same_key(parts: list[tuple[str, str, str]]) -> None:
    binding = bind(load(MINIMAL.replace('["id"]', '["a", "b", "c"]'), kind="responses"), ["a", "b", "c", "stars", "at"])

    found = [binding.record(2, [*each, "5", "2026-01-14"]) for each in parts if any(each)]

    assert len({row.key for row in found if isinstance(row, ResponseRecord)}) == len(found)


def test_a_blank_or_an_endless_key_is_refused() -> None:
    assert one(MINIMAL, "id,stars,at\n,5,2026-01-14\n") == RowProblem(2, None, "The key is blank.")
    assert "more than 500" in one(MINIMAL, f"id,stars,at\n{'x' * 501},5,2026-01-14\n").reason


def test_without_a_key_the_reference_is_it_with_an_interactions_touchpoint_before_it() -> None:
    mapping = '[interactions]\nreference = "no"\noccurred_at = "at"\ntouchpoint = { value = "store" }\n'

    assert one(mapping, "no,at\n7,2026-01-14T10:00:00Z\n", kind="interactions").key == "store|7"


# Values


@pytest.mark.parametrize(
    ("cell", "score", "missing"),
    [
        ("5", 5, None),
        ("5.0", 5, None),
        (" 4 ", 4, None),
        ("", None, Missing.BLANK),
        ("11", None, Missing.BLANK),
        ("11.0", None, Missing.BLANK),
        ("N/A", None, Missing.NOT_ASKED),
        ("n/a ", None, Missing.NOT_ASKED),
        ("-", None, Missing.NOT_IN_VERSION),
    ],
)
def test_codes_for_missing_are_no_score_and_say_why(cell: str, score: int | None, missing: Missing | None) -> None:
    codes = '{ column = "stars", missing = { 11 = "blank", "N/A" = "not_asked", "-" = "not_in_version" } }'

    found = one(MINIMAL.replace('score = "stars"', f"score = {codes}"), f"id,stars,at\n7,{cell},2026-01-14\n")

    assert (found.score, found.missing) == (score, missing)


@pytest.mark.parametrize("cell", ["0", "6", "11", "4.5", "five", "-1", "1e1", "5 stars", "٥x", "99999999999"])
def test_what_is_no_score_is_refused_with_line_column_and_reason(cell: str) -> None:
    found = one(MINIMAL, f"id,stars,at\n7,{cell},2026-01-14\n")

    assert (found.line, found.column) == (2, "stars")
    assert cell in found.reason


def test_a_map_translates_values_whatever_their_case_and_refuses_the_others() -> None:
    mapping = MINIMAL.replace('"stars"', '{ column = "stars", map = { "Very good" = 5, "bad" = 1 } }')

    found = rows(mapping, "id,stars,at\n1,very  GOOD,2026-01-14\n2,bad,2026-01-14\n3,so so,2026-01-14\n4,,2026-01-14\n")

    assert [getattr(row, "score", "refused") for row in found] == [5, 1, "refused", None]
    assert found[2] == RowProblem(4, "stars", "'so so' is not one of the values that the mapping lists.")
    assert found[3].missing is Missing.BLANK


@pytest.mark.parametrize(("unlisted", "language"), [("keep", "klingon"), ("blank", "en")])
def test_an_unlisted_value_may_be_kept_or_count_as_blank(unlisted: str, language: str) -> None:
    line = f'language = {{ column = "l", map = {{ 1 = "de" }}, unlisted = "{unlisted}", default = "en" }}'

    found = rows(with_field(line), "id,stars,at,l\n1,5,2026-01-14,1.0\n2,5,2026-01-14,klingon\n3,5,2026-01-14,\n")

    assert [row.language for row in found] == ["de", language, "en"]


def test_columns_are_joined_without_blanks_or_the_first_that_is_filled_is_taken() -> None:
    joined = with_field('comment = { columns = ["a", "b"], join = ": " }')
    first = with_field('comment = { columns = ["a", "b"], first = true, missing = ["none"] }')
    table = "id,stars,at,a,b\n1,5,2026-01-14,x,y\n2,5,2026-01-14,,y\n3,5,2026-01-14,none,y\n4,5,2026-01-14,,\n"

    assert [row.comment for row in rows(joined, table)] == ["x: y", "y", "none: y", None]
    assert [row.comment for row in rows(first, table)] == ["x", "y", "y", None]


def test_attributes_keep_their_text_and_blank_ones_are_left_out() -> None:
    table = "id,stars,at,ZIP code,tier\n1,5,2026-01-14,00501,\n"

    assert one(with_field('attributes = ["ZIP code", "tier"]'), table).attributes == {"ZIP code": "00501"}
    assert one(with_field('[responses.attributes]\nzip = "ZIP code"'), table).attributes == {"zip": "00501"}


def test_the_customers_fields_come_together_or_not_at_all() -> None:
    mapping = with_field('[responses.customer]\nemail = "mail"\nname = { columns = ["first", "last"] }')

    found = rows(mapping, "id,stars,at,mail,first,last\n1,5,2026-01-14,a@example.com,A,B\n2,5,2026-01-14,,,\n")

    assert (found[0].customer.email, found[0].customer.name, found[0].customer.phone) == ("a@example.com", "A B", None)
    assert found[1].customer is None


def test_every_problem_of_a_row_is_told_and_the_next_row_is_read() -> None:
    found = rows(MINIMAL, "id,stars,at\n,9,yesterday\n8,3,2026-01-14\n")

    assert [(row.line, row.column) for row in found[:3]] == [(2, "stars"), (2, None), (2, "at")]
    assert found[3].key == "8"


# Money


@pytest.mark.parametrize(
    ("cell", "options", "expected"),
    [
        ("89.99", "", 8999),
        ("69.0", "", 6900),
        ("1,250.50", "", 125050),
        ("-12.5", "", -1250),
        ("1.250,50", 'decimal = ","', 125050),
        ("20,00 €", 'decimal = ","', 2000),
        ("€20.00", "", 2000),
        ("EUR 20.00", "", 2000),
        ("8999", 'unit = "minor"', 8999),
        ("", "", None),
    ],
)
def test_an_amount_is_read_in_its_unit_with_its_decimal_mark(cell: str, options: str, expected: int | None) -> None:
    mapping = f"""
        [interactions]
        reference = "no"
        occurred_at = "at"
        touchpoint = {{ value = "store" }}
        [interactions.value]
        amount = "sum"
        currency = {{ value = "EUR" }}
        {options}
    """

    found = one(mapping, f'no,at,sum\n7,2026-01-14T10:00:00Z,"{cell}"\n', kind="interactions")

    assert found.value == (None if expected is None else Money(expected, "EUR"))


@pytest.mark.parametrize(
    ("cell", "currency", "column"),
    [
        ("12,50", "EUR", "sum"),
        ("1e3", "EUR", "sum"),
        ("NaN", "EUR", "sum"),
        ("0.125", "EUR", "sum"),
        ("5", "EURO", "c"),
    ],
)
def test_what_is_no_money_is_refused(cell: str, currency: str, column: str) -> None:
    mapping = """
        [interactions]
        reference = "no"
        occurred_at = "at"
        touchpoint = { value = "store" }
        value = { amount = "sum", currency = "c" }
    """

    found = one(mapping, f'no,at,sum,c\n7,2026-01-14T10:00:00Z,"{cell}",{currency}\n', kind="interactions")

    assert (found.line, found.column) == (2, column)


# Times


@pytest.mark.parametrize(
    ("text", "source", "expected"),
    [
        ("2026-01-14 10:30:00.123456", '"at"', datetime(2026, 1, 14, 9, 30, 0, 123456, tzinfo=UTC)),
        ("2026-01-14T10:30:00Z", '"at"', datetime(2026, 1, 14, 10, 30, tzinfo=UTC)),
        ("2026-01-14 10:30:00-05:00", '"at"', datetime(2026, 1, 14, 15, 30, tzinfo=UTC)),
        ("2026-01-14", '"at"', datetime(2026, 1, 13, 23, tzinfo=UTC)),
        ("2026-03-29 02:30:00", '"at"', datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("2026-10-25 02:30:00", '"at"', datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2/28/2015", '{ column = "at", formats = ["%m/%d/%Y"] }', datetime(2015, 2, 27, 23, tzinfo=UTC)),
        ("28.02.2015", '{ column = "at", formats = ["iso", "%d.%m.%Y"] }', datetime(2015, 2, 27, 23, tzinfo=UTC)),
        ("03/04/2015", '{ column = "at", formats = ["%d/%m/%Y", "%m/%d/%Y"] }', datetime(2015, 4, 2, 22, tzinfo=UTC)),
        ("03/14/2015", '{ column = "at", formats = ["%d/%m/%Y", "%m/%d/%Y"] }', datetime(2015, 3, 13, 23, tzinfo=UTC)),
        ("14", '{ column = "at", formats = ["%d"], base = 2026-01-01 }', datetime(2026, 1, 13, 23, tzinfo=UTC)),
        ("29.2.", '{ column = "at", formats = ["%d.%m."], base = 2024-01-01 }', datetime(2024, 2, 28, 23, tzinfo=UTC)),
        ("8:00", '{ column = "at", formats = ["%H:%M"], base = 2026-01-14 }', datetime(2026, 1, 14, 7, tzinfo=UTC)),
        (
            "14 Jan 2026 10:30 +0000",
            '{ column = "at", formats = ["%d %b %Y %H:%M %z"] }',
            datetime(2026, 1, 14, 10, 30, tzinfo=UTC),
        ),
        ("2026-01-14", '{ column = "at", zone = "UTC" }', datetime(2026, 1, 14, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_by_the_first_format_that_fits_in_the_zone_declared(
    text: str, source: str, expected: datetime
) -> None:
    assert moment(text, source) == expected


@pytest.mark.parametrize(
    ("text", "source", "reason"),
    [
        ("", '"at"', "blank"),
        ("yesterday", '"at"', "as in 2026-02-28T14:30+00:00 (iso)"),
        ("20260114", '"at"', "is not written as in"),
        ("2026-W03-1", '"at"', "is not written as in"),
        ("2026-02-30", '"at"', "is not written as in"),
        ("9999-12-31 23:59:59-14:00", '"at"', "beyond all dates"),
        ("31", '{ column = "at", formats = ["%d"], base = 2026-02-01 }', "as in 28 (%d)"),
        ("29.2.", '{ column = "at", formats = ["%d.%m."], base = 2026-01-01 }', "is not written as in"),
    ],
)
def test_what_is_no_time_is_refused(text: str, source: str, reason: str) -> None:
    found = moment(text, source)

    assert isinstance(found, str) and reason in found


def test_a_naive_time_without_a_declared_zone_is_refused_row_by_row() -> None:
    found = rows(
        MINIMAL.replace('zone = "Europe/Berlin"', ""), "id,stars,at\n1,5,2026-01-14 10:00\n2,5,2026-01-14 10:00Z\n"
    )

    assert "no zone" in found[0].reason
    assert found[1].answered_at == datetime(2026, 1, 14, 10, tzinfo=UTC)


# Files


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_shows_them(end: str) -> None:
    table = end.join(
        ["id,stars,at,words", '1,5,2026-01-14,"two', 'lines"', "", "2,9,2026-01-14,x", "3,5,2026-01-14,y", ""]
    )

    found = rows(with_field('comment = "words"'), table)

    assert [row.line for row in found] == [2, 5, 6]
    assert found[0].comment == f"two{end}lines"
    assert isinstance(found[1], RowProblem)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,5", "2 cells, and the header has 3"),
        ("1,5,2026-01-14,x", "4 cells, and the header has 3"),
        ('1,5,"2026-01-14"x', "not valid CSV"),
        ("1\0,5,2026-01-14", "NUL"),
    ],
)
def test_a_broken_row_is_told_and_the_rows_after_it_are_read(row: str, reason: str) -> None:
    found = rows(MINIMAL, f"id,stars,at\n{row}\n2,4,2026-01-14\n")

    assert found[0].line == 2 and reason in found[0].reason
    assert (found[1].line, found[1].key) == (3, "2")


def test_blank_cells_beyond_the_header_are_no_fault() -> None:
    assert one(MINIMAL, "id,stars,at\n1,5,2026-01-14,,\n").key == "1"


def test_a_quote_that_never_ends_is_told_with_the_lines_that_it_swallows() -> None:
    found = rows(MINIMAL, 'id,stars,at\n1,5,2026-01-14\n2,5,"2026-01-14\n3,5,2026-01-14\n')

    assert found[0].key == "1"
    assert found[1].line == 3 and "lines 3 to 4" in found[1].reason
    assert len(found) == 2


@pytest.mark.parametrize(
    ("layout", "encoding", "delimiter"),
    [
        ("", "utf-8", ","),
        ("", "utf-8-sig", ","),
        ('[file]\nencoding = "latin-1"', "latin-1", ","),
        ('[file]\nfallback_encoding = "cp1252"', "cp1252", ","),
        ('[file]\nencoding = "utf-16"', "utf-16", ","),
        ('[file]\ndelimiter = ";"', "utf-8", ";"),
        ('[file]\ndelimiter = "\\t"', "utf-8", "\t"),
    ],
)
def test_a_file_is_read_in_its_encoding_and_by_its_delimiter(layout: str, encoding: str, delimiter: str) -> None:
    table = "id,stars,at,words\n1,5,2026-01-14,não\n".replace(",", delimiter)

    assert one(with_field('comment = "words"\n' + layout), table.encode(encoding)).comment == "não"


def test_a_file_in_another_encoding_is_refused_with_the_line() -> None:
    content = "id,stars,at\n1,5,2026-01-14\nné,5,2026-01-14\n".encode("latin-1")

    with pytest.raises(BadFile, match="line 3 is the first"):
        rows(MINIMAL, content)
    with pytest.raises(BadFile, match="neither in utf-8-sig nor in ascii"):
        rows(MINIMAL + '\n[file]\nfallback_encoding = "ascii"', content)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused_and_one_with_a_header_alone_is_not(content: bytes) -> None:
    with pytest.raises(BadFile, match="empty"):
        rows(MINIMAL, content)
    assert rows(MINIMAL, "id,stars,at\n") == []


def test_a_file_closed_before_its_rows_were_read_is_no_trouble_later() -> None:
    with io.BytesIO(b"id,stars,at\n1,5,2026-01-14\n2,5,2026-01-14\n") as file:
        stream = read(file, load(MINIMAL, kind="responses"))
        next(stream)

    del stream
    gc.collect()  # an error in there would be a warning, and warnings are errors


def test_a_file_is_read_as_it_is_asked_for_and_stays_open() -> None:
    file = io.BytesIO(b"id,stars,at\n" + b"1,5,2026-01-14\n" * 200_000)

    stream = read(file, load(MINIMAL, kind="responses"))
    next(stream)

    assert 0 < file.tell() < 200_000
    stream.close()  # type: ignore[attr-defined]
    assert not file.closed


@given(st.lists(st.lists(st.text(max_size=6), min_size=3, max_size=3), max_size=6))
def test_any_file_gives_records_or_problems_and_no_error(cells: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "stars", "at"], *cells])
    content = text.getvalue().encode("utf-8", "replace")

    for found in rows(MINIMAL, content):
        assert isinstance(found, ResponseRecord | RowProblem)
        assert found.line >= 2


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    latin = MINIMAL + '\n[file]\nfallback_encoding = "latin-1"'

    for found in rows(latin, b"id,stars,at\n" + content):
        assert isinstance(found, ResponseRecord | RowProblem)


# Mappings that are refused


@pytest.mark.parametrize(
    ("mapping", "path"),
    [
        ("not toml", ""),
        ("[interactions]", "responses"),
        (MINIMAL.replace('key = ["id"]', ""), "responses.key"),
        (MINIMAL.replace('["id"]', "[]"), "responses.key"),
        (MINIMAL.replace('["id"]', '"id"'), "responses.key"),
        (MINIMAL.replace('score = "stars"', ""), "responses.score"),
        (MINIMAL.replace('answered_at = "at"', ""), "responses.answered_at"),
        (MINIMAL.replace('metric = "csat"', ""), "responses.metric"),
        (MINIMAL.replace('"csat"', '"stars"'), "responses.metric"),
        (MINIMAL.replace('survey = "s"', ""), "responses.survey"),
        (MINIMAL.replace("Europe/Berlin", "Berlin"), "zone"),
        (with_field("touchpint = 1"), "responses.touchpint"),
        (with_field("comment = 1"), "responses.comment"),
        (with_field('comment = ""'), "responses.comment"),
        (with_field("comment = {}"), "responses.comment"),
        (with_field('comment = { column = "a", value = "b" }'), "responses.comment"),
        (with_field('comment = { column = "a", colour = "b" }'), "responses.comment.colour"),
        (with_field('comment = { column = "a", optional = "yes" }'), "responses.comment.optional"),
        (with_field('comment = { column = "a", map = { x = 1.5 } }'), "responses.comment.map.x"),
        (with_field('comment = { column = "a", map = { x = "1", X = "2" } }'), "responses.comment.map"),
        (with_field('comment = { column = "a", missing = { x = "gone" } }'), "responses.comment.missing.x"),
        (with_field('comment = { column = "a", unlisted = "drop" }'), "responses.comment.unlisted"),
        (with_field('comment = { column = "a", zone = "Mars" }'), "responses.comment.zone"),
        (with_field('comment = { column = "a", base = "soon" }'), "responses.comment.base"),
        (with_field("attributes = [1]"), "responses.attributes"),
        (with_field('[responses.customer]\nshoe = "a"'), "responses.customer.shoe"),
        (with_field('[file]\ndelimiter = "::"'), "file.delimiter"),
        (with_field('[file]\nencoding = "klingon"'), "file.encoding"),
        (with_field('[file]\nencoding = "zlib"'), "file.encoding"),
        (with_field('[columns]\nstars = "rating"'), "columns.stars"),
        (with_field("[rows]"), "rows"),
        (MINIMAL.replace('"at"', '{ column = "at", formats = ["%d"] }'), "responses.answered_at"),
        (
            MINIMAL.replace('"at"', '{ column = "at", formats = ["%Q"], base = 2017-05-01 }'),
            "responses.answered_at.formats",
        ),
        (MINIMAL.replace('"at"', '{ column = "at", formats = "iso" }'), "responses.answered_at.formats"),
        (
            MINIMAL.replace('zone = "Europe/Berlin"', "").replace('"at"', '{ column = "at", formats = ["%d.%m.%Y"] }'),
            "responses.answered_at",
        ),
    ],
)
def test_a_malformed_mapping_is_refused_with_the_place_of_the_fault(mapping: str, path: str) -> None:
    with pytest.raises(BadMapping) as refused:
        load(mapping, kind="responses")

    assert refused.value.path == path
    assert refused.value.reason


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('{ amount = "a" }', "interactions.value"),
        ('{ amount = "a", currency = { value = "EURO" } }', "interactions.value.currency"),
        ('{ amount = "a", currency = "c", unit = "cents" }', "interactions.value.unit"),
        ('{ amount = "a", currency = "c", decimal = "·" }', "interactions.value.decimal"),
    ],
)
def test_money_without_its_currency_or_in_an_unknown_form_is_refused(value: str, path: str) -> None:
    mapping = f'[interactions]\nreference = "no"\noccurred_at = "at"\ntouchpoint = "t"\nvalue = {value}\n'

    with pytest.raises(BadMapping) as refused:
        load(mapping, kind="interactions")

    assert refused.value.path == path


def test_a_complaints_state_is_one_that_complaints_have() -> None:
    mapping = '[complaints]\nreceived_at = "at"\ntext = "t"\nreference = "no"\nstate = { column = "s" }\n'
    content = "at,t,no,s\n2026-01-14T10:00Z,late,7,open\n2026-01-14T10:00Z,late,8,lost\n"

    found = rows(mapping, content, kind="complaints")

    assert isinstance(found[0], ComplaintRecord) and found[0].state is State.OPEN
    assert (found[1].line, found[1].column) == (3, "s")
    with pytest.raises(BadMapping, match="'lost' is not one of open, resolved"):
        load(mapping.replace('"s" }', '"s", map = { x = "lost" } }'), kind="complaints")


@pytest.mark.parametrize(("name", "kind"), [("olist", "responses"), ("olist", "interactions"), ("sfo", "responses")])
def test_a_mapping_kept_as_json_reads_back_as_the_same(name: str, kind: str) -> None:
    mapping = load((MAPPINGS / f"{name}.toml").read_bytes(), kind=kind)

    assert from_table(json.loads(json.dumps(mapping.table)), kind=kind) == mapping


# Real files


def records(file: Path, name: str, *, kind: str) -> list[Any]:
    """Every record of a real file, which has no problem."""
    with file.open("rb") as opened:
        found = list(read(opened, load((MAPPINGS / f"{name}.toml").read_bytes(), kind=kind)))
    assert [row for row in found if isinstance(row, RowProblem)] == []
    return found


def distinct(found: list[Any]) -> list[Any]:
    return list({row.key: row for row in found}.values())


def oracle(data: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((data / "ORACLES.json").read_text())[name])


def tampered(file: Path, tmp_path: Path) -> Path:
    """The same file with its columns turned round, blanks behind their names, other case and CRLF."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        table = list(csv.reader(opened))
    other = tmp_path / "other.csv"
    with other.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\r\n")
        writer.writerow([f"{name.title()} " for name in reversed(table[0])])
        writer.writerows(row[::-1] for row in table[1:])
    return other


@pytest.mark.data
def test_order_reviews_give_the_published_figures(data: Path) -> None:
    expected = oracle(data, "olist_2017_distinct")

    every = records(data / "responses/olist_classified_2017.csv", "olist", kind="responses")
    found = distinct(every)

    figure = csat(Counter(row.score for row in found))
    assert len(every) == oracle(data, "olist_2017")["rows"]
    assert figure.n == expected["responses"]
    assert sum(row.score <= 2 for row in found) == expected["score_le2"]
    assert figure.to_json()["value"] == expected["csat_top2_pct"]
    assert [figure.to_json()["low"], figure.to_json()["high"]] == expected["wilson"]


@pytest.mark.data
def test_orders_are_interactions_that_the_reviews_are_about(data: Path) -> None:
    file = data / "responses/olist_classified_2017.csv"

    orders = distinct(records(file, "olist", kind="interactions"))
    reviews = distinct(records(file, "olist", kind="responses"))

    places = {(order.touchpoint, order.reference) for order in orders}
    assert len(places) == len(orders) == 2248  # eight orders were reviewed twice
    assert {(review.touchpoint, review.reference) for review in reviews} == places
    assert all(isinstance(order, InteractionRecord) and order.value.currency == "BRL" for order in orders)
    assert orders[0].occurred_at == datetime(2017, 8, 30, 14, 41, 1, tzinfo=UTC)
    assert reviews[0].answered_at == datetime(2017, 9, 10, 3, 27, 54, tzinfo=UTC)
    assert Counter("delivered_at" in order.attributes for order in orders)[False] > 0


@pytest.mark.data
def test_the_airports_survey_gives_the_published_figures(data: Path) -> None:
    expected = oracle(data, "sfo_2017")

    found = records(data / "responses/sfo_airport/2017_SFO_Customer_Survey_20250817.csv", "sfo", kind="responses")

    figure = nps(Counter(row.score for row in found if row.score is not None))
    assert len(found) == len(distinct(found)) == expected["rows"]
    assert figure.n == expected["valid"]
    assert figure.to_json()["value"] == expected["nps"]
    assert [figure.to_json()["low"], figure.to_json()["high"]] == expected["nps_adjusted_wald"]
    assert Counter(row.missing for row in found)[Missing.BLANK] == expected["rows"] - expected["valid"]
    assert {row.answered_at.year for row in found} == {2017}
    assert found[0].answered_at == datetime(2017, 5, 13, 7, tzinfo=UTC)
    assert found[0].attributes["weight"] == "0.2847177143"


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("responses/olist_classified_2017.csv", "olist"),
        ("responses/sfo_airport/2017_SFO_Customer_Survey_20250817.csv", "sfo"),
    ],
)
def test_other_order_case_blanks_and_line_ends_change_nothing(path: str, name: str, data: Path, tmp_path: Path) -> None:
    usual = records(data / path, name, kind="responses")

    other = records(tampered(data / path, tmp_path), name, kind="responses")

    assert [(row.key, row.score, row.answered_at, row.comment) for row in other] == [
        (row.key, row.score, row.answered_at, row.comment) for row in usual
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("year", "base", "first_day"), [(2014, "2014-09-01", date(2014, 9, 4)), (2016, "2017-05-01", date(2016, 5, 11))]
)
def test_other_years_of_the_airport_are_read_once_they_ask_the_question(
    year: int, base: str, first_day: date, data: Path, tmp_path: Path
) -> None:
    file = data / f"responses/sfo_airport/{year}_SFO_Customer_Survey_20250817.csv"
    with pytest.raises(MissingColumn, match="'NETPRO'"):  # they did not ask whether passengers recommend the airport
        records(file, "sfo", kind="responses")
    content = file.read_text(encoding="utf-8-sig").splitlines()
    asked = tmp_path / "asked.csv"
    asked.write_text("\n".join([content[0] + ",NetPro ", *(line + ",9" for line in content[1:])]))
    mapping = load((MAPPINGS / "sfo.toml").read_text().replace("2017-05-01", base), kind="responses")

    with asked.open("rb") as opened:
        found: list[Any] = list(read(opened, mapping))

    assert len(found) == len(distinct(found)) == len(content) - 1
    assert {(row.answered_at - timedelta(hours=7)).year for row in found} == {year}
    assert found[0].answered_at.date() == first_day
    assert {row.language for row in found} == {"en", "es", "zh", "ja"}
    assert all(row.attributes["boarding_area"] for row in found)


@pytest.mark.data
def test_public_complaints_are_read_whole(data: Path) -> None:
    expected = oracle(data, "cfpb_jan_feb")

    found: list[Record] = records(data / "complaints/cfpb_2015_jan_feb.csv", "cfpb", kind="complaints")

    complaints = [row for row in found if isinstance(row, ComplaintRecord)]
    assert len(complaints) == len(distinct(found)) == expected["rows"]
    assert Counter(row.product for row in complaints) == expected["by_product"]
    assert sum(row.reopened for row in complaints) == expected["disputed_yes"]
    assert sum(row.state is State.OPEN for row in complaints) == expected["in_progress"]
    assert sum(row.attributes["timely"] == "No" for row in complaints) == expected["timely_no"]
    assert sum(len(row.attributes.get("postcode", "?????")) < 5 for row in complaints) == expected["zip_shorter_than_5"]
    assert complaints[0].received_at == datetime(2015, 2, 28, 5, tzinfo=UTC)
