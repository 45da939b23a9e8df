"""What customers see: questions in three languages, corrections, thanks, ended links; looking writes nothing."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock, tokens
from core.db import db, new_public_id
from customers.models import Brand
from feedback.models import Case
from incentives import rewards
from surveys.models import Invitation, InvitationState, Response
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_customer,
    make_invitation,
    make_programme,
    make_rule,
    make_staff,
    make_survey,
    make_touchpoint,
)
from tests.surveys.links import link

LIMIT = 14 * 1024
PHONE = "+494055504471"
UNHAPPY = {"nps": "2", "why": ["cut_off"], "comment": "The line went dead.", "contact": "phone"}


@pytest.fixture
def invitation(app: Flask) -> Invitation:
    brand = make_brand(
        phone="0800 555 0142", phone_hours="until 20:00", privacy_url="https://northwind.example/privacy"
    )
    return make_invitation(make_survey(brand), make_customer(phone=PHONE))


def test_the_page_asks_what_the_definition_says(client: Client, invitation: Invitation) -> None:
    page = client.get(link(invitation)).text

    brand = db.session.scalars(select(Brand)).first()
    assert brand is not None
    assert f"How likely are you to recommend {brand.name} to a friend or colleague?" in page
    assert page.count('name="nps"') == 11
    assert '<div class="stack when low-q">' in page
    assert "about your call on" in page
    assert "+49\u00a0•••\u00a04471" in page
    assert "0800 555 0142" in page
    assert "Stop surveys" in page
    assert " checked" not in page


def test_a_rating_link_only_preselects(client: Client, invitation: Invitation) -> None:
    page = client.get(f"{link(invitation)}?score=2").text

    assert 'value="2" required checked' in page
    assert page.count(" checked") == 1
    assert f"{link(invitation)}?score=2&amp;lang=de" in page
    assert db.session.scalars(select(Response)).all() == []


@pytest.mark.parametrize("score", ["11", "-1", "2;", "<b>", "", "２"])
def test_a_score_that_is_none_preselects_nothing(client: Client, invitation: Invitation, score: str) -> None:
    assert " checked" not in client.get(link(invitation), query_string={"score": score}).text


def test_a_page_costs_one_statement_and_no_cookie(client: Client, invitation: Invitation) -> None:
    path = link(invitation)
    client.get(path)

    with count_queries() as queries:
        page = client.get(path)

    assert queries.count == 1, list(queries)
    assert "Set-Cookie" not in page.headers
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_mail_scanner_that_opens_every_link_writes_nothing(
    client: Client, invitation: Invitation, method: str
) -> None:
    make_rule(touchpoint := make_touchpoint())
    paths = [link(invitation), f"{link(invitation)}?score=0", f"{link(invitation)}/thanks", f"/t/{touchpoint.key}"]

    with count_queries() as queries:
        for path in paths:
            assert client.open(path, method=method).status_code in (200, 303)

    assert queries
    assert all(query.lstrip().startswith("SELECT") for query in queries), list(queries)


@pytest.mark.parametrize(
    ("language", "direction", "question", "digit"),
    [
        ("en", "ltr", "How likely are you to recommend", "10"),
        ("de", "ltr", "Wie wahrscheinlich ist es", "10"),
        ("ar", "rtl", "ما مدى احتمال أن توصي", "١٠"),
    ],
)
def test_each_language_speaks_in_its_direction_and_digits(
    client: Client, invitation: Invitation, language: str, direction: str, question: str, digit: str
) -> None:
    page = client.get(f"{link(invitation)}?lang={language}").text

    assert f'<html lang="{language}" dir="{direction}">' in page
    assert question in page
    assert f">{digit}</label>" in page


def test_the_invitation_s_language_is_spoken_unless_another_is_chosen(client: Client) -> None:
    path = link(make_invitation(customer=make_customer(language="de")))

    assert '<html lang="de"' in client.get(path).text
    assert '<html lang="ar"' in client.get(f"{path}?lang=ar").text
    assert '<html lang="de"' in client.get(f"{path}?lang=xx").text


def test_an_answer_is_kept_in_the_language_it_was_given_in(client: Client, invitation: Invitation) -> None:
    done = client.post(f"{link(invitation)}?lang=ar", data={"nps": "9"})

    assert done.headers["Location"].endswith("/thanks?lang=ar")
    assert db.session.scalars(select(Response)).one().language == "ar"


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_page_and_all_that_it_loads_stay_below_14_kb(client: Client, invitation: Invitation, language: str) -> None:
    page = client.get(f"{link(invitation)}?score=2&lang={language}")
    loaded = re.findall(r'(?:href|src)="(/(?:static|brand)/[^"]+)"', page.text)

    sizes = {"page": len(gzip.compress(page.data, 6))}
    for path in loaded:
        with client.get(path) as file:
            sizes[path] = len(gzip.compress(file.data, 6))

    assert len(loaded) == 4  # icon, two style sheets, the small script
    assert sum(sizes.values()) <= LIMIT, sizes


def test_what_is_wrong_stands_on_top_and_what_was_typed_is_kept(client: Client, invitation: Invitation) -> None:
    page = client.post(link(invitation), data={"nps": "2", "comment": "x" * 2001, "why": ["cut_off"]})

    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert 'href="#comment"' in page.text
    assert "too long for us by 1 characters" in page.text
    assert "x" * 2001 in page.text
    assert 'value="cut_off" checked' in page.text
    assert db.session.scalars(select(Response)).all() == []


def test_what_was_typed_below_another_score_is_kept_too(client: Client, invitation: Invitation) -> None:
    sent = {"comment": "Nobody\x00 rang <me> back", "why": ["cut_off", "not_solved"]}

    page = client.post(link(invitation), data=sent)  # an old browser shows every follow-up before there is a score

    assert page.status_code == 422
    assert "Nobody rang &lt;me&gt; back" in page.text
    assert 'value="cut_off" checked' in page.text
    assert 'value="not_solved" checked' in page.text


def test_an_answer_without_a_score_says_so_and_keeps_the_rest(client: Client, invitation: Invitation) -> None:
    page = client.post(link(invitation), data={})

    assert page.status_code == 422
    assert 'href="#nps-0"' in page.text
    assert 'aria-describedby="nps-e nps-h"' in page.text


@pytest.mark.parametrize(
    "data",
    [
        {"nps": "11"},
        {"nps": "-1"},
        {"nps": "2.0"},
        {"nps": "x" * 5000},
        {"nps": "2\x00"},
        {"nps": "٢"},
        {"nps": "²"},  # a digit that is no number
        {"nps": "9" * 5000},  # more digits than Python reads
        {"nps": "2", "why": ["made_up"]},
        {"nps": "2", "contact": "fax"},
        {"nps": "2", "contact": "\x00"},
    ],
)
def test_what_no_page_can_send_is_refused_at_its_field(
    client: Client, invitation: Invitation, data: dict[str, object]
) -> None:
    answer = client.post(link(invitation), data=data)

    assert answer.status_code == 422
    assert db.session.scalars(select(Response)).all() == []


def test_unknown_fields_and_strange_characters_do_no_harm(client: Client, invitation: Invitation) -> None:
    hostile = "a\x00b\x07c</textarea><script>alert(1)</script>\ud800"
    body = {**UNHAPPY, "comment": hostile.encode("utf-8", "surrogatepass"), "score": "9", "admin": "1"}

    answer = client.post(link(invitation), data=body)

    assert answer.status_code == 303
    kept = db.session.scalars(select(Response)).one().comment
    assert kept is not None
    assert kept.startswith("abc</textarea><script>")
    assert "\x00" not in kept
    assert db.session.scalars(select(Response)).one().answers.keys() == {"nps", "why", "comment", "contact"}


def test_typed_markup_is_shown_as_text(client: Client, invitation: Invitation) -> None:
    client.post(f"{link(invitation)}/partial", data={"nps": "2", "comment": "</textarea><script>alert(1)</script>"})

    page = client.get(link(invitation)).text

    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_body_far_too_large_is_refused(client: Client, invitation: Invitation) -> None:
    answer = client.post(link(invitation), data={"nps": "2", "comment": "x" * 2_000_000})

    assert answer.status_code == 413
    assert db.session.scalars(select(Response)).all() == []


def test_thanks_name_the_case_the_time_and_the_masked_number(client: Client, invitation: Invitation) -> None:
    page = client.post(link(invitation), data=UNHAPPY, follow_redirects=True).text

    case = db.session.scalars(select(Case)).one()
    assert case.label in page
    assert "A person from our team will call you by" in page
    assert "+49\u00a0•••\u00a04471" in page
    assert "h•••@customer.example" in page
    assert PHONE not in page
    assert f"/c/{tokens.sign('case', case.public_id)}" in page


def test_thanks_name_whoever_took_the_case(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data=UNHAPPY)
    case = db.session.scalars(select(Case)).one()
    case.assignee = make_staff("agent", name="Sofia Lindqvist")

    page = client.get(f"{link(invitation)}/thanks").text

    assert "\u2068Sofia\u2069 will call you by" in page


def test_a_used_link_shows_its_thanks_again(client: Client, invitation: Invitation) -> None:
    first = client.post(link(invitation), data=UNHAPPY, follow_redirects=True).text

    again = client.get(link(invitation), follow_redirects=True)

    assert again.status_code == 200
    assert re.sub(r"\s+", " ", again.text) == re.sub(r"\s+", " ", first)


def test_thanks_before_an_answer_lead_to_the_questions(client: Client, invitation: Invitation) -> None:
    early = client.get(f"{link(invitation)}/thanks")

    assert early.status_code == 303
    assert early.headers["Location"] == link(invitation)


def test_a_content_customer_is_thanked_without_a_case(client: Client, invitation: Invitation) -> None:
    page = client.post(link(invitation), data={"nps": "10"}, follow_redirects=True).text

    assert "We’re glad it went well." in page
    assert not re.search(r"AM-\d", page)  # a link may hold these letters by chance


def test_a_reward_is_on_its_way_and_then_there(client: Client, invitation: Invitation) -> None:
    brand = db.session.scalars(select(Brand)).first()
    reward = rewards.reserve(
        make_programme(brand),
        customer=db.session.get_one(type(make_customer()), invitation.customer_id),
        reason=f"invitation:{invitation.id}",
        until=invitation.expires_at,
        by="rule",
        now=clock.now(),
    )
    assert reward is not None
    invitation.reward_id = reward.id
    assert "€5 for answering, whatever you say." in client.get(link(invitation)).text

    waiting = client.post(link(invitation), data={"nps": "1", "contact": "none"}, follow_redirects=True).text
    db.session.refresh(reward)
    rewards.issue(reward, now=clock.now())
    there = client.get(f"{link(invitation)}/thanks").text

    assert "It’s on its way to" in waiting
    assert reward.code is not None
    assert reward.code in there
    assert "€5 off, for taking the time" in there
    assert "One order over €20." in there


def test_a_link_that_ran_out_says_so_and_offers_a_person(client: Client, invitation: Invitation) -> None:
    with clock.moved(timedelta(days=31)):
        shown, sent = client.get(link(invitation)), client.post(link(invitation), data=UNHAPPY)

    for answer in (shown, sent):
        assert answer.status_code == 410
        assert "This link has run out" in answer.text
        assert "tel:08005550142" in answer.text
    assert db.session.scalars(select(Response)).all() == []


def test_a_revoked_link_says_so(client: Client, invitation: Invitation) -> None:
    invitation.state = InvitationState.REVOKED

    answer = client.get(link(invitation))

    assert answer.status_code == 410
    assert "no longer open" in answer.text


@pytest.mark.parametrize("token", ["x", "1" + "a" * 44, "9" * 45, "%00", "..", "é" * 45, "1" * 5000])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_we_never_signed_is_unknown_and_offers_a_person(
    client: Client, invitation: Invitation, token: str, method: str
) -> None:
    answer = client.open(f"/s/{token}", method=method)

    assert answer.status_code == 404
    assert "We don’t know this link" in answer.text or "nothing at this address" in answer.text


def test_a_signed_link_to_nothing_is_unknown(client: Client, invitation: Invitation) -> None:
    assert client.get(f"/s/{tokens.sign('survey', new_public_id())}").status_code == 404


def test_a_link_for_another_purpose_does_not_open_a_survey(client: Client, invitation: Invitation) -> None:
    assert client.get(f"/s/{tokens.sign('case', invitation.public_id)}").status_code == 404


@pytest.mark.parametrize("path", ["/t/nowhere", "/t/%00", "/t/a%20b", "/t/" + "x" * 500])
def test_an_open_form_of_no_touchpoint_is_unknown(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_an_open_form_does_not_ask_how_to_reach_somebody_unknown(client: Client) -> None:
    make_rule(touchpoint := make_touchpoint())

    page = client.get(f"/t/{touchpoint.key}", headers={"Accept-Language": "de-AT,de;q=0.9"}).text

    assert '<html lang="de"' in page
    assert 'name="contact"' not in page
    assert "/u/" not in page


@pytest.mark.usefixtures("fresh_minute")
def test_an_open_form_filled_in_without_end_is_slowed_down(client: Client) -> None:
    make_rule(touchpoint := make_touchpoint())
    form_key = tokens.sign("open", new_public_id())

    answers = [client.post(f"/t/{touchpoint.key}", data={"form_key": form_key}).status_code for _ in range(22)]

    assert answers[:20] == [422] * 20
    assert answers[-1] == 429


def test_a_brand_s_style_sheet_sets_its_colour_and_nothing_else(client: Client) -> None:
    brand = make_brand(colour="oklch(.42 .085 160)")
    odd = make_brand(colour="red} body{display:none")

    good, bad = client.get(f"/brand/{brand.key}.css"), client.get(f"/brand/{odd.key}.css")

    assert good.text == ":root{--brand:oklch(.42 .085 160)}\n"
    assert good.mimetype == "text/css"
    assert "max-age" in good.headers["Cache-Control"]
    assert bad.text == ""
    assert client.get("/brand/nobody.css").status_code == 404


def test_a_changed_brand_shows_at_once(client: Client, invitation: Invitation) -> None:
    client.get(link(invitation))
    brand = db.session.scalars(select(Brand).where(Brand.phone.is_not(None))).one()
    brand.phone = "0800 999"

    assert "0800 999" in client.get(link(invitation)).text


def test_only_the_unchanging_parts_are_kept(client: Client, invitation: Invitation) -> None:
    client.post(f"{link(invitation)}/partial", data={"nps": "2", "comment": "secret of one"})
    client.get(link(invitation))
    other = make_invitation(make_survey(), make_customer(phone="+494055509999"))

    page = client.get(link(other)).text

    assert "secret of one" not in page
    assert "4471" not in page
    assert link(invitation) not in page


def test_the_public_style_sheet_is_what_the_page_names() -> None:
    assert Path("static/css/public.css").stat().st_size <= 8 * 1024 + 200
