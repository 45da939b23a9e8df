"""Which language and which zone a reader gets, and the language tools of the templates.

A page that knows its reader says so: `speak(invitation.language, zone=brand.zone)`; `choose_language` does the rest.
Staff pages are English until somebody translates them; only pages for customers follow the browser (`follow_browser`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from babel import Locale, UnknownLocaleError
from babel.support import Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale, refresh
from werkzeug.exceptions import HTTPException

from core import catalogues, formats
from core.errors import is_public_page


@dataclass(frozen=True)
class Language:
    """A language that customers can read here: its code, its own name and its direction, `ltr` or `rtl`."""

    code: str
    name: str
    direction: str


LANGUAGES = {
    known.code: known
    for known in (
        Language("en", "English", "ltr"),
        Language("de", "Deutsch", "ltr"),
        Language("ar", "العربية", "rtl"),
    )
}
DEFAULT = "en"


class _Catalogues(Domain):
    """Says what the .po files say; flask-babel itself would look for compiled ones."""

    def get_translations(self) -> Translations:
        return catalogues.translations(language())


class _Babel(Babel):
    domain_instance = _Catalogues()


def init_app(app: Flask) -> None:
    _Babel().init_app(
        app,
        default_locale=DEFAULT,
        locale_selector=choose_language,
        timezone_selector=formats.zone,
    )
    app.jinja_env.filters.update(formats.FILTERS)
    app.jinja_env.globals.update(
        language=language,
        direction=direction,
        language_links=language_links,
        language_name=language_name,
    )


def speak(chosen: str | None, *, zone: str | None = None) -> str:
    """Let this page speak `chosen` (unless its reader asked for another language) and show times of the IANA `zone`.

    Returns the code of the language that is spoken from now on.
    """
    g.language = known_code(chosen)
    if zone:
        g.zone = zone
    refresh()
    return choose_language()


def follow_browser() -> None:
    """Let the browser's languages decide where nothing better is known; for pages that customers open."""
    g.follows_browser = True
    refresh()


@contextmanager
def use_language(chosen: str | None, *, zone: str | None = None) -> Iterator[None]:
    """Render what is inside in `chosen` and in the IANA `zone`, whoever the request or job belongs to; for mails."""
    before = g.get("zone")
    g.zone = zone or before
    try:
        with force_locale(known_code(chosen) or DEFAULT):
            yield
    finally:
        g.zone = before


def choose_language() -> str:
    """Return the code to speak: what the reader asked for, what the page knows, what the browser prefers, English."""
    return _asked_for() or g.get("language") or _preferred_by_browser() or DEFAULT


def _asked_for() -> str | None:
    if not has_request_context():
        return None
    try:
        asked = request.args.get("lang") or (request.form.get("lang") if request.method == "POST" else None)
        return known_code(asked)
    except HTTPException:  # a body too large or broken: the page that says so must still be written
        return None


def _preferred_by_browser() -> str | None:
    if not has_request_context() or not (g.get("follows_browser") or is_public_page()):
        return None
    return next((code for tag in request.accept_languages.values() if (code := known_code(tag))), None)


def known_code(tag: str | None) -> str | None:
    """Return the code of ours that a language tag such as `de-AT` or `de_AT` means, or None."""
    code = (tag or "").replace("_", "-").partition("-")[0].lower()
    return code if code in LANGUAGES else None


def language() -> str:
    """Return the code of the language that is spoken now."""
    locale = get_locale()
    return locale.language if locale else DEFAULT


def direction(code: str | None = None) -> str:
    """Return `rtl` or `ltr`, for a language tag or for the page."""
    try:
        return str(Locale.parse((code or language()).replace("-", "_")).text_direction)
    except (UnknownLocaleError, ValueError):
        return "ltr"


def language_name(code: str) -> str:
    """Return the name of a language in the reader's own, such as "German"; its tag where it is unknown."""
    try:
        return Locale.parse(code.replace("-", "_")).get_display_name(language()) or code
    except (UnknownLocaleError, ValueError):
        return code


def language_links() -> list[dict[str, Any]]:
    """The languages of a public page as links to the same page; what its link preselects stays preselected."""
    kept = [(key, value) for key, value in request.args.items(multi=True) if key != "lang"]
    return [
        {
            "code": known.code,
            "name": known.name,
            "direction": known.direction,
            "href": f"{request.path}?{urlencode([*kept, ('lang', known.code)])}",
            "current": known.code == language(),
        }
        for known in LANGUAGES.values()
    ]
