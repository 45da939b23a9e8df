"""Links, keys and sessions that were changed by a hand's breadth open nothing."""

from __future__ import annotations

import random
import string

import pytest
from flask import Flask
from flask_security.recoverable import generate_reset_password_token

from accounts.sign_in import welcome_link
from core import tokens
from core.db import new_public_id
from core.tokens import UnknownLink
from tests.amounts import few_or_many
from tests.client import Client
from tests.factories import make_api_key, make_case, make_customer, make_invitation, make_staff

PURPOSES = ("survey", "case", "preferences", "unsubscribe", "receipt", "confirm", "answer", "open", "complain")
ALPHABET = string.ascii_letters + string.digits + "-_"
REFUSED = {
    "/welcome/{}": (410, 429),
    "/reset/{}": (302, 429),
    "/s/{}/thanks": (405,),
    "/c/{}": (405,),
    "/c/{}/reply": (405,),
}  # 429: too many tries
STRANGE = "=+/. \x00\n%٣Ａé"  # what base64, digits and letters of other scripts would be taken for by a careless reader


def changed(token: str, chance: random.Random) -> str:
    """Return a token that differs from this one in one of the ways that people and programs try."""
    at, kind = chance.randrange(len(token)), chance.randrange(8)
    if kind == 0:
        return token[:at]
    if kind == 1:
        return token + chance.choice(ALPHABET + STRANGE)
    if kind == 2:
        return token[:at] + chance.choice(ALPHABET) + token[at:]
    if kind == 3:
        return token[:at] + token[at + 1 :]
    if kind == 4:
        return token[:at] + token[at:].swapcase()
    if kind == 5:
        return token[:at] + chance.choice(STRANGE) + token[at + 1 :]
    if kind == 6:
        return "".join(chance.choices(ALPHABET, k=len(token)))
    return token[:at] + chance.choice(ALPHABET) + token[at + 1 :]


@pytest.mark.parametrize("tries", few_or_many(20_000, many=200_000, full=1_000_000))
def test_no_changed_link_is_read(app: Flask, chance: random.Random, tries: int) -> None:
    real = {purpose: [tokens.sign(purpose, new_public_id()) for _ in range(20)] for purpose in PURPOSES}
    read = []

    for _ in range(tries):
        purpose = chance.choice(PURPOSES)
        asked = purpose if chance.random() < 0.9 else chance.choice(PURPOSES)
        token = chance.choice(real[purpose])
        tried = changed(token, chance) if asked == purpose else token
        if tried == token and asked == purpose:
            continue
        try:
            read.append((asked, tokens.read(asked, tried), token, tried))
        except UnknownLink:
            pass

    assert read == []
    assert all(tokens.read(purpose, token) for purpose, made in real.items() for token in made)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tries", few_or_many(300, many=1_000, full=3_000))
def test_no_changed_link_or_key_opens_a_page(app: Flask, client: Client, chance: random.Random, tries: int) -> None:
    customer, newcomer = make_customer(), make_staff(password=None)
    case, invitation = make_case(customer=customer), make_invitation(customer=customer)
    with app.test_request_context():
        reset = generate_reset_password_token(newcomer)
    _key, secret = make_api_key()
    links = [
        ("/s/{}", tokens.sign("survey", invitation.public_id)),
        ("/s/{}/thanks", tokens.sign("survey", invitation.public_id)),
        ("/c/{}", tokens.sign("case", case.public_id)),
        ("/c/{}/reply", tokens.sign("case", case.public_id)),
        ("/u/{}", tokens.sign("preferences", customer.public_id)),
        ("/welcome/{}", welcome_link(newcomer).rpartition("/")[2]),
        ("/reset/{}", reset),
    ]
    opened = []

    for number in range(tries):
        path, token = links[number % len(links)]
        tried = changed(token, chance)
        if tried in {token, ""} or not tried.isprintable() or set(tried) & set("/%. "):
            continue  # another address, not another link
        for send in (client.get, client.post):
            status = send(path.format(tried)).status_code
            if status not in {404, *REFUSED.get(path, ())}:
                opened.append((status, path, tried))
        key = changed(secret, chance).strip()  # HTTP itself drops blanks around what a header says
        if key != secret and key.isascii() and key.isprintable():
            answer = client.get("/api/v1/metrics/nps", headers={"Authorization": f"Bearer {key}"})
            if answer.status_code != 401:
                opened.append((answer.status_code, "key", key))

    assert opened == []
