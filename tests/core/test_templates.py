"""Templates: all compile, none holds anything inline, failures need no database, and customers' pages stay light."""

import gzip
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, render_template

from core import design, i18n, pages, security
from core.access import Kind

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.*"))
PAGES = [path for path in TEMPLATES if path.suffix in {".html", ".svg"} and "notifications" not in path.parts]
STATUSES = (400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 502, 503)
INLINE = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style", re.IGNORECASE),
    "an event attribute": re.compile(r"<[^>{}]*\son[a-z]+\s*=", re.IGNORECASE),
    "a script without its nonce": re.compile(r"<script(?![^>]*nonce=)", re.IGNORECASE),
    "a script of its own": re.compile(r"<script[^>]*>\s*[^<\s]", re.IGNORECASE),
    "a javascript: link": re.compile(r"javascript:", re.IGNORECASE),
}


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application of pages alone: no database, nobody signed in."""
    app = Flask("pages", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.config.update(SECRET_KEY="only for these tests")
    app.extensions["config"] = SimpleNamespace(shows_mailbox=True, organisation="Northwind Outdoor")
    security.init_app(app, https=False)
    i18n.init_app(app)
    pages.init_app(app)
    with app.app_context():
        yield app


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "templates").as_posix()


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_every_template_compiles(the_app: Flask, path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    the_app.jinja_env.compile(source, name_of(path))  # with the filters of every room


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_template_holds_anything_inline(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert [what for what, pattern in INLINE.items() if pattern.search(source)] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_icon_that_is_used_is_drawn(path: Path) -> None:
    sprite = (ROOT / "templates/_icons.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'id="i-([a-z]+)"', sprite))
    used = set(re.findall(r'icon\("([a-z]+)"|#i-([a-z]+)', path.read_text(encoding="utf-8")))

    assert len(drawn) == 20
    assert {name for pair in used for name in pair if name} <= drawn


@pytest.mark.parametrize("language", list(i18n.LANGUAGES))
@pytest.mark.parametrize("address", ["/design", "/design/public"])
def test_the_style_guide_shows_every_part(app: Flask, address: str, language: str) -> None:
    answer = app.test_client().get(address, query_string={"lang": language})

    assert answer.status_code == 200
    assert f'lang="{language}" dir="{i18n.LANGUAGES[language].direction}"' in answer.text


@pytest.mark.parametrize("language", list(i18n.LANGUAGES))
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("audience", ["public", "staff"])
def test_a_failure_is_explained_without_a_database_or_anybody_signed_in(
    app: Flask, audience: str, status: int, language: str
) -> None:
    with app.test_request_context(query_string={"lang": language}):
        page = render_template(f"errors/{audience}.html", status=status, problem={"title": "x", "status": status})

    assert page.count("<h1") == 1
    assert len(text_of(page)) > 100
    assert ('class="person"' in page) == (audience == "public")


def test_a_refusals_own_sentence_is_shown_and_escaped(app: Flask) -> None:
    problem = {"code": "already-taken", "detail": "Ana <b>took</b> it 4 s ago"}
    with app.test_request_context():
        page = render_template("errors/staff.html", status=409, problem=problem)

    assert "Ana &lt;b&gt;took&lt;/b&gt; it 4 s ago" in page


def test_pages_for_customers_read_no_session(app: Flask) -> None:
    answer = app.test_client().get("/design/public")

    assert "Cookie" not in answer.headers.get("Vary", "")
    assert "Set-Cookie" not in answer.headers


def test_pages_for_customers_stay_under_14_kb_with_all_they_load(app: Flask) -> None:
    page = app.test_client().get("/design/public").data
    loaded = [(ROOT / "static" / name).read_bytes() for name in ("css/public.css", "favicon.svg")]
    brand = b":root { --brand: oklch(.42 .085 160) }"

    weight = sum(len(gzip.compress(part)) for part in (page, *loaded, brand))

    assert weight <= 14 * 1024
    assert "<script" not in page.decode()


def test_the_style_guide_answers_only_where_mail_stays_here(app: Flask) -> None:
    assert [view.__access__.kind for view in (design.design, design.public_design)] == [Kind.MAILBOX] * 2


def test_ids_and_their_references_agree_in_the_style_guide(app: Flask) -> None:
    for address in ("/design", "/design/public"):
        reader = _Ids()
        reader.feed(app.test_client().get(address).text)

        assert sorted(reader.ids) == sorted(set(reader.ids))
        assert reader.references - set(reader.ids) == set()


class _Ids(HTMLParser):
    """Collects ids, and what refers to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            elif name in {"aria-labelledby", "aria-describedby", "for", "popovertarget", "commandfor"} and value:
                self.references.update(value.split())
            elif name == "href" and value and value.startswith("#") and len(value) > 1:
                self.references.add(value[1:])


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(head|svg)\b.*?</\1>", " ", page)).split())
