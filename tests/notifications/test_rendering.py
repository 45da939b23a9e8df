"""Every kind, in every language, from its template to the recipient's eyes."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from core import i18n
from core.i18n import LANGUAGES
from notifications import substitution
from notifications.colours import mail_colours
from notifications.kinds import KINDS, TO_STAFF, BadValues, Purpose, checked, greeting_name, parts_of
from notifications.rendering import Look, Rendered, UnknownField, _Tags, compile, fill
from notifications.samples import compiled_for, sample, sample_values
from notifications.sendgrid import SendGrid
from notifications.transport import Address, Batch, Envelope
from tests.vendor_sendgrid import Vendor

LOOK = Look(
    key="northwind",
    name="Northwind Outdoor",
    colour="oklch(.42 .085 160)",
    site_url="https://northwind.example",
    privacy_url="https://northwind.example/privacy",
    phone="0800 555 0142",
    address="Northwind Outdoor GmbH, Speicherstraße 12, 20457 Hamburg",
)
HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: a@mail.example \"'&"
EVERY = [(kind, language) for kind in KINDS for language in LANGUAGES]


@pytest.fixture(scope="module", autouse=True)
def mail_app() -> Iterator[Flask]:
    app = Flask("mail", template_folder=str(Path(__file__).parents[2] / "templates"))
    i18n.init_app(app)
    with app.app_context():
        yield app


class Markup(HTMLParser):
    """Counts what a mail client would see: tags, attributes, links, and that every tag is closed."""

    VOID = {"meta", "br", "img"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("kind", "language"), EVERY)
@pytest.mark.parametrize("fully", [True, False])
def test_every_message_renders_whole_in_every_language(kind: str, language: str, fully: bool) -> None:
    rendered = sample(kind, language=language, look=LOOK, fully=fully)

    page = Markup(rendered.html)
    assert page.open == []
    assert page.tags.count("h1") <= 1
    assert f'lang="{language}" dir="{LANGUAGES[language].direction}"' in rendered.html
    assert not substitution.TAG.search(rendered.html + rendered.text + rendered.subject)
    assert rendered.subject and "\n" not in rendered.subject
    assert not re.search(r"%\(|\{\{|\{%|<[a-z]", rendered.text)
    assert "\n\n\n" not in rendered.text
    assert all(link.startswith("https://") for link in page.links)
    assert not any(name.startswith("on") for name, _value in page.attributes)
    assert len(rendered.html.encode()) < 40_000  # some clients cut a mail off at 102 KB


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_every_link_of_the_html_that_is_the_customers_own_is_in_the_text_too(kind: str, language: str) -> None:
    values, rendered = sample_values(kind, language), sample(kind, language=language, look=LOOK)

    for name in values:
        if name.endswith("_url"):
            assert values[name] in rendered.text
            assert any(link.startswith(values[name]) for link in Markup(rendered.html).links)


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_no_tag_touches_a_letter_that_could_make_it_another_tag(kind: str, language: str) -> None:
    compiled = compiled_for(kind, sample_values(kind, language), language=language, look=LOOK)

    for template in (compiled.subject, compiled.html, compiled.text):
        for match in substitution.TAG.finditer(template):
            around = template[max(match.start() - 1, 0) : match.start()] + template[match.end() : match.end() + 1]
            assert not re.search(r"[a-z0-9_-]", around), match.group(0)
    assert "_lines-" not in compiled.subject


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_values_stay_text(kind: str) -> None:
    known = KINDS[kind]
    values = {name: value if name.endswith("_url") else HOSTILE for name, value in sample_values(kind, "en").items()}
    values |= {name: options[0] for name, options in known.choices.items()}

    rendered = fill(compiled_for(kind, values, language="en", look=LOOK), values)

    assert "img" not in Markup(rendered.html).tags
    assert not any(name == "onerror" for name, _value in Markup(rendered.html).attributes)
    assert not re.search(r"[\r\n]", rendered.subject)
    for line in rendered.text.splitlines():
        assert not line.startswith("Bcc:") or known.paragraphs


def test_the_mailbox_shows_exactly_what_the_vendor_delivers() -> None:
    with Vendor() as vendor:
        transport = SendGrid(vendor.url, vendor.api_key)
        for kind, language in EVERY:
            values = sample_values(kind, language)
            compiled = compiled_for(kind, values, language=language, look=LOOK)
            transport.send(a_batch(kind, language, compiled.subject, compiled.html, compiled.text, values))
            [mail] = vendor.mails[-1:]
            assert Rendered(mail.subject, mail.html, mail.text) == fill(compiled, values)
        transport.close()


def a_batch(kind: str, language: str, subject: str, html: str, text: str, values: dict[str, str]) -> Batch:
    return Batch(
        subject_template=subject,
        html_template=html,
        text_template=text,
        sender=Address("care@northwind.example", "Northwind Outdoor"),
        language=language,
        brand="northwind",
        category=kind,
        envelopes=(Envelope("h@mail.example", "Hanna", values, "m-1"),),
    )


def test_the_rating_row_preselects_each_score_and_is_in_the_readers_digits() -> None:
    english, arabic = (Markup(sample("invitation", language=code, look=LOOK).html) for code in ("en", "ar"))

    scores = [link for link in english.links if "?score=" in link]
    assert scores == [f"https://feedback.northwind.example/s/k7Qm2p?score={score}" for score in range(11)]
    assert scores == [link for link in arabic.links if "?score=" in link]
    assert ">١٠</a>" in sample("invitation", language="ar", look=LOOK).html


@pytest.mark.parametrize(("scale", "steps"), [("1-5", range(1, 6)), ("1-7", range(1, 8))])
def test_the_row_follows_the_surveys_scale(scale: str, steps: range) -> None:
    values = sample_values("invitation", "en") | {"scale": scale}

    rendered = fill(compiled_for("invitation", values, language="en", look=LOOK), values)

    assert re.findall(r"\?score=(\d+)", rendered.html) == [str(step) for step in steps]


def test_a_reward_is_offered_whatever_the_score_and_goodwill_is_no_condition() -> None:
    invitation = sample("invitation", language="en", look=LOOK)
    reply = sample("case_reply", language="en", look=LOOK)

    assert "Everyone who answers gets €5 off, whatever the score." in invitation.text
    assert "It isn’t a condition of anything." in reply.text


def test_a_message_without_a_name_greets_nobody_by_name() -> None:
    assert "\nHello,\n" in "\n" + sample("case_opened", language="en", look=LOOK, fully=False).text


def test_a_changed_colour_shows_at_once_and_the_same_look_is_compiled_once() -> None:
    values = sample_values("reward", "en")
    red = Look("northwind", "Northwind Outdoor", "#aa0000")

    first, second = (compiled_for("reward", values, language="en", look=LOOK) for _ in range(2))
    third = compiled_for("reward", values, language="en", look=red)

    assert first is second
    assert mail_colours("#aa0000").ink in third.html
    assert mail_colours("#aa0000").ink not in first.html


@pytest.mark.parametrize("colour", ["#ff0", "#00ff00", "oklch(95% .2 100)", "#000", "red;}", ""])
def test_any_brand_colour_is_dark_enough_on_light_and_light_enough_on_dark(colour: str) -> None:
    colours = mail_colours(colour)

    assert contrast(colours.ink, "#f6f3ef") >= 4.5
    assert contrast("#ffffff", colours.ink) >= 4.5
    assert contrast(colours.dark_ink, "#12191c") >= 4.5
    assert contrast("#0a1013", colours.dark_ink) >= 4.5


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_service_messages_are_not_stopped_by_an_unsubscribe_from_surveys_or_marketing() -> None:
    scopes = ("all", "survey", "marketing")
    stopped = {scope: {kind.name for kind in KINDS.values() if kind.is_stopped_by(scope)} for scope in scopes}

    assert stopped["all"] == set(KINDS) - TO_STAFF
    assert {"staff_reset", "staff_changed"} == TO_STAFF
    assert stopped["survey"] == {"invitation", "outcome_check"}
    assert stopped["marketing"] == set()
    assert KINDS["complaint_acknowledged"].purpose is Purpose.SERVICE
    assert all("unsubscribe_url" in kind.fields for kind in KINDS.values() if kind.can_be_unsubscribed)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"number": None}, "number"),
        ({"number": ""}, "number"),
        ({"colour": "red"}, "colour"),
        ({"case_url": "javascript:alert(1)"}, "case_url"),
        ({"case_url": "https://a.example/ b"}, "case_url"),
        ({"because": "we like you"}, "because"),
    ],
)
def test_values_that_do_not_fit_are_refused_when_the_message_is_posted(changes: dict[str, object], named: str) -> None:
    kind = KINDS["reward" if "because" in changes else "case_opened"]
    values: dict[str, object] = {**sample_values(kind.name, "en"), **changes}

    with pytest.raises(BadValues, match=named):
        checked(kind, values)


def test_blank_optional_values_are_left_out_and_change_the_shape() -> None:
    kind = KINDS["case_opened"]

    values = checked(kind, {**sample_values("case_opened", "en"), "promise": "", "promise_detail": None})

    assert "promise" not in values
    assert "promise" not in parts_of(kind, values)


@pytest.mark.parametrize(
    ("typed", "greeted"),
    [
        ("Hanna", "Hanna"),
        ("  Anne-Marie O’Neil ", "Anne-Marie O’Neil"),
        ("J. R.", "J. R."),
        ("هنا", "هنا"),
        ("Win at evil.example", ""),
        ("https://evil.example", ""),
        ("+49 151 12345", ""),
        ("a" * 61, ""),
        ("A\r\nBcc: b", ""),
        (None, ""),
    ],
)
def test_only_what_looks_like_a_name_is_greeted(typed: str | None, greeted: str) -> None:
    assert greeting_name(typed) == greeted


def test_templates_ask_for_declared_values_only() -> None:
    for kind, known in KINDS.items():
        for language in LANGUAGES:
            parts = known.optional | {f"{name}={values[-1]}" for name, values in known.choices.items()}
            compiled = compile(kind, version=known.version, language=language, look=LOOK, parts=parts)
            assert compiled.fields <= known.fields | known.optional


def test_a_template_that_names_an_undeclared_value_does_not_compile() -> None:
    with pytest.raises(UnknownField, match="reward has no agent_name"):
        _Tags(KINDS["reward"], "html").agent_name  # noqa: B018
