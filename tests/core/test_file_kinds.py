"""What a file is shows its content alone."""

from __future__ import annotations

import pytest

from core.file_kinds import JPEG, PDF, recognise, written_name
from tests.feedback.files_made import HONEST, HOSTILE, boxes, jpeg, pdf, png
from tests.growth import growth


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_file_is_known_by_its_content(name: str) -> None:
    content, content_type = HONEST[name]

    kind = recognise(content)

    assert kind is not None
    assert kind.content_type == content_type
    assert name.rpartition(".")[2].lower() in kind.endings


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_something_else_or_two_things_at_once_is_none(name: str) -> None:
    assert recognise(HOSTILE[name]) is None


@pytest.mark.parametrize("content", [png(), jpeg(), boxes(b"isom"), pdf(), b"RIFF", b"GIF89a"])
def test_no_cut_of_a_file_breaks_the_reader(content: bytes) -> None:
    for length in range(len(content)):
        recognise(content[:length])


def test_a_film_twice_as_large_takes_twice_as_long_to_look_through() -> None:
    films = {megabytes: boxes(b"isom", more=bytes(range(256)) * (4096 * megabytes - 1)) for megabytes in (10, 20)}
    assert all(recognise(film) is not None for film in films.values())

    assert growth(lambda megabytes: recognise(films[megabytes]), 10) < 3


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("pole.jpg", "pole.jpg"),
        ("pole.JPEG", "pole.jpeg"),
        ("page.html", "page.html.jpg"),
        ("setup.exe", "setup.exe.jpg"),
        ("../../etc/passwd", "_.._etc_passwd.jpg"),
        ("C:\\fakepath\\a.jpg", "C__fakepath_a.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", "aSet-Cookie_ x=1.jpg"),
        ("gpj\u202eexe.jpg", "gpjexe.jpg"),
        ("", "file.jpg"),
        (".jpg", "jpg.jpg"),
        ("...", "file.jpg"),
        ("قطب.jpg", "قطب.jpg"),
        ("a\ud800b.jpg", "a_b.jpg"),
        ("x" * 500 + ".jpg", "x" * 120 + ".jpg"),
    ],
)
def test_a_name_is_made_safe_to_save_under(name: str, written: str) -> None:
    assert written_name(name, JPEG) == written


def test_a_pdf_keeps_its_ending() -> None:
    assert written_name("Rechnung 11.2025.pdf", PDF) == "Rechnung 11.2025.pdf"
