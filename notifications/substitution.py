"""How one recipient's values get into a template, with the same result at the vendor, in the mailbox and in a preview.

A compiled template holds tags, `-<field>_<flavour>-`, and a value is made ready once for each flavour that is used:

    -name_html-          one line, escaped for HTML text and attributes
    -name_text-          one line, plain: the text part and the subject
    -reply_html_lines-   many lines, escaped, line ends as <br>
    -reply_text_lines-   many lines, plain; never in a subject

The vendor replaces tags one after the other, so a value that itself looks like a tag could pull an unescaped value into
HTML ("-comment_text-" typed as a name). Such a hyphen is defused in every value, hence one pass and many give the same.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

TAG = re.compile(r"-([a-z][a-z0-9_]*?)_(html_lines|text_lines|html|text)-")
_LOOKALIKE = re.compile(r"-(?=[a-z][a-z0-9_]*_(?:html|text))")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UNPRINTABLE_BUT_LINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+")
# Direction overrides can make a name swallow the words around it; isolation marks are of no use inside one line.
_DISGUISES = re.compile("[\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(value: str) -> str:
    """Fold line ends and control characters into one blank: what is left cannot end a header or fake a paragraph."""
    if value.isprintable():
        return value
    return _UNPRINTABLE.sub(" ", _DISGUISES.sub("", value)).strip()


def many_lines(value: str) -> str:
    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE_BUT_LINES.sub(" ", _DISGUISES.sub("", lines)).strip()


def _defused(value: str, hyphen: str) -> str:
    if "_html" in value or "_text" in value:
        return _LOOKALIKE.sub(hyphen, value)
    return value


def _plain_hyphen(value: str) -> str:
    """In an address %2D means the same; in words the typographic hyphen reads the same."""
    return "%2D" if value.startswith(("https://", "http://")) else "\u2010"


def as_html(value: str) -> str:
    return _defused(html.escape(one_line(value)), "&#45;")


def as_text(value: str) -> str:
    return _defused(one_line(value), _plain_hyphen(value))


def as_html_lines(value: str) -> str:
    return _defused(html.escape(many_lines(value)), "&#45;").replace("\n", "<br>\n")


def as_text_lines(value: str) -> str:
    return _defused(many_lines(value), _plain_hyphen(value))


FLAVOURS: dict[str, Callable[[str], str]] = {
    "html": as_html,
    "text": as_text,
    "html_lines": as_html_lines,
    "text_lines": as_text_lines,
}


@dataclass(frozen=True)
class Tag:
    """One tag of a template, and how its value is made from the raw one."""

    literal: str
    field: str
    made_by: Callable[[str], str]


def tag(name: str, flavour: str) -> str:
    return f"-{name}_{flavour}-"


def tags_in(*templates: str) -> tuple[Tag, ...]:
    """Every tag that these templates use, each once."""
    found = {match.group(0): match for template in templates for match in TAG.finditer(template)}
    return tuple(Tag(literal, match[1], FLAVOURS[match[2]]) for literal, match in found.items())


def substitutions(tags: tuple[Tag, ...], values: Mapping[str, str]) -> dict[str, str]:
    """Return tag -> ready value. Raises KeyError naming the field that `values` lacks."""
    return {each.literal: each.made_by(values[each.field]) for each in tags}


def filled(template: str, ready: Mapping[str, str]) -> str:
    """Put ready values (from `substitutions`) into a template."""
    return TAG.sub(lambda match: ready[match.group(0)], template)
