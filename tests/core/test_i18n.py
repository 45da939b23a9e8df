"""Languages: who gets which, what it says, and how it writes times and numbers."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext as _n

from core import catalogues, formats, i18n

NOW = datetime(2025, 11, 13, 13, 10, tzinfo=UTC)  # a Thursday, 14:10 in Berlin


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application with languages alone: no database, no rooms."""
    app = Flask("languages")
    i18n.init_app(app)
    with app.app_context():
        yield app


# Which language


def test_a_page_speaks_english_unless_it_knows_better(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        assert i18n.language() == "en"


def test_a_public_page_follows_the_browser(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}):
        i18n.follow_browser()

        assert i18n.language() == "de"


def test_an_address_of_customers_follows_the_browser_by_itself(app: Flask) -> None:
    with app.test_request_context("/s/unknown", headers={"Accept-Language": "ar"}):
        assert i18n.language() == "ar"


def test_the_language_of_the_invitation_wins_over_the_browser(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        i18n.follow_browser()
        i18n.speak("ar")

        assert (i18n.language(), i18n.direction()) == ("ar", "rtl")


def test_what_the_reader_asks_for_wins_over_everything(app: Flask) -> None:
    with app.test_request_context("/?lang=en"):
        i18n.speak("ar")

        assert i18n.language() == "en"


def test_a_form_may_ask_for_its_language(app: Flask) -> None:
    with app.test_request_context(method="POST", data={"lang": "de"}):
        assert i18n.language() == "de"


@pytest.mark.parametrize("tag", ["xx", "../../etc", "", "\x00", "e" * 5000])
def test_an_unknown_language_is_ignored(app: Flask, tag: str) -> None:
    with app.test_request_context(query_string={"lang": tag}):
        assert i18n.language() == "en"


def test_a_body_too_large_still_gets_a_page_in_some_language(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10
    with app.test_request_context(method="POST", data={"lang": "de", "words": "x" * 100}):
        assert i18n.language() == "en"


def test_a_language_set_late_is_heard_by_what_follows(app: Flask) -> None:
    with app.test_request_context():
        before = _("Language")
        i18n.speak("de")

        assert (before, _("Language")) == ("Language", "Sprache")


def test_a_mail_is_written_in_its_own_language_and_zone(app: Flask) -> None:
    with app.test_request_context("/?lang=en"):
        i18n.speak("en", zone="Europe/Berlin")
        with i18n.use_language("de", zone="Asia/Dubai"):
            inside = (_("Language"), formats.time(NOW))

        assert inside == ("Sprache", "17:10")
        assert (_("Language"), formats.time(NOW)) == ("Language", "14:10")


def test_a_worker_without_a_request_can_write_in_a_language(app: Flask) -> None:
    with i18n.use_language("ar"):
        assert _("Language") == "اللغة"


def test_the_language_links_keep_what_the_link_preselects(app: Flask) -> None:
    with app.test_request_context("/s/token?score=2&lang=de"):
        links = i18n.language_links()

    assert [link["href"] for link in links] == [f"/s/token?score=2&lang={code}" for code in ("en", "de", "ar")]
    assert [link["current"] for link in links] == [False, True, False]


@pytest.mark.parametrize(("tag", "expected"), [("he", "rtl"), ("de-AT", "ltr"), ("zz", "ltr"), ("", "ltr")])
def test_the_direction_of_any_language_tag_is_known(app: Flask, tag: str, expected: str) -> None:
    assert i18n.direction(tag or "nonsense!") == expected


# What it says


@pytest.mark.parametrize("language", catalogues.TRANSLATED)
def test_everything_a_customer_can_see_is_translated(language: str) -> None:
    missing = catalogues.missing(language, catalogues.extract())

    assert not missing, "Add these to the .po file (docs/translating.md):\n" + "\n".join(missing)


@pytest.mark.parametrize("language", catalogues.TRANSLATED)
def test_translations_keep_the_placeholders(language: str) -> None:
    assert catalogues.broken(language) == []


def test_the_extraction_finds_what_customers_see() -> None:
    found = {str(message.id) for message in catalogues.public(catalogues.extract())}

    assert {"I would rather talk to a person", "This link no longer works", "today at %(time)s"} <= found


@pytest.mark.parametrize(
    ("path", "is_public"),
    [
        ("templates/public.html", True),
        ("templates/surveys/public/answer.html", True),
        ("templates/feedback/public_case.html", True),
        ("templates/notifications/reward.1.txt", True),
        ("surveys/views/public.py", True),
        ("templates/notifications/staff_reset.1.html", False),
        ("templates/base.html", False),
        ("feedback/views/staff.py", False),
    ],
)
def test_which_files_customers_see_is_told_by_their_names(path: str, is_public: bool) -> None:
    assert catalogues.is_public(path) is is_public


def test_arabic_counts_in_its_six_forms(app: Flask) -> None:
    with i18n.use_language("ar"):
        said = {_n("%(count)s day", "%(count)s days", count, count=count) for count in (0, 1, 2, 3, 11, 100)}

    assert {"يوم واحد", "يومان", "3 أيام", "11 يومًا"} <= said


# How it writes times and numbers


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "Mon 17 Nov, 10:00"), ("de", "Mo. 17. Nov., 10:00 Uhr"), ("ar", "الاثنين ١٧ نوفمبر، الساعة ١٠:٠٠")],
)
def test_a_moment_is_said_in_the_readers_language_zone_and_digits(app: Flask, language: str, expected: str) -> None:
    with i18n.use_language(language, zone="Europe/Berlin"):
        assert formats.moment(datetime(2025, 11, 17, 9, 0, tzinfo=UTC), NOW) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(-26, "yesterday at 12:10"), (-3, "today at 11:10"), (11, "tomorrow at 01:10"), (-24 * 400, "9 Oct 2024, 15:10")],
)
def test_near_moments_are_named_and_far_ones_dated(app: Flask, hours: int, expected: str) -> None:
    with i18n.use_language("en", zone="Europe/Berlin"):
        assert formats.moment(NOW + timedelta(hours=hours), NOW) == expected


def test_the_day_changes_at_the_readers_midnight(app: Flask) -> None:
    late = datetime(2025, 11, 13, 22, 30, tzinfo=UTC)
    with i18n.use_language("en", zone="Europe/Berlin"):
        assert formats.by_when(late, NOW) == "23:30 today"
    with i18n.use_language("en", zone="Asia/Dubai"):
        assert formats.by_when(late, NOW) == "02:30 tomorrow"


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (110, "1 h 50 left"),
        (65, "1 h 05 left"),
        (25, "25 min left"),
        (0, "0 min left"),
        (-40, "40 min over"),
        (-120, "2 h over"),
        (1500, "1 day left"),
        (-4400, "3 days over"),
    ],
)
def test_the_room_until_a_deadline_is_said(app: Flask, minutes: int, expected: str) -> None:
    with i18n.use_language("en"):
        assert formats.left(NOW + timedelta(minutes=minutes), NOW) == expected


def test_what_happened_just_now_is_told_in_seconds(app: Flask) -> None:
    assert formats.ago(NOW - timedelta(seconds=4), NOW) == "4 s ago"
    assert formats.ago(NOW + timedelta(seconds=4), NOW) == "0 s ago"


@pytest.mark.parametrize(("language", "expected"), [("en", "2,184.5"), ("de", "2.184,5"), ("ar", "٢٬١٨٤٫٥")])
def test_numbers_follow_the_language(app: Flask, language: str, expected: str) -> None:
    with i18n.use_language(language):
        assert formats.number(2184.5, 1) == expected


@pytest.mark.parametrize(("value", "expected"), [(32.4, "+32"), (-4.2, "−4"), (0.3, "0"), (-0.3, "0")])
def test_a_score_carries_its_sign(app: Flask, value: float, expected: str) -> None:
    assert formats.signed(value) == expected


@pytest.mark.parametrize(("language", "expected"), [("en", "59%"), ("de", "59 %"), ("ar", "٥٩٪")])
def test_a_share_is_said_in_percent(app: Flask, language: str, expected: str) -> None:
    with i18n.use_language(language):
        assert formats.percent(0.593) == expected


def test_a_long_date_reads_as_people_write_it(app: Flask) -> None:
    said = []
    for language in ("en", "de", "ar"):
        with i18n.use_language(language):
            said.append(formats.day(date(2025, 11, 12), "long"))

    assert said == ["Wednesday 12 November", "Mittwoch, 12. November", "الأربعاء ١٢ نوفمبر"]
