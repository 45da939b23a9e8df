"""A year of Northwind: who met the company where, what they answered, and how their cases went.

The same seed gives the same year, ending now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from cli.bulk import Bulk
from cli.northwind import people, today, voices
from cli.northwind.house import House
from cli.northwind.recovery import Recovery, Unhappy
from core.db import new_public_id
from core.events import Event
from customers.models import Customer, Interaction
from notifications.models import Message, State
from surveys.models import Decision, Invitation, InvitationState, Response, ResponseState

BERLIN: Final = ZoneInfo("Europe/Berlin")
DAYS: Final = 365
ASKED: Final = timedelta(hours=2)
EXPIRES: Final = timedelta(days=30)
REST: Final = timedelta(days=30)
TOUCHPOINT_WEIGHTS: Final = {"delivery": 34, "web-shop": 20, "call-centre": 18, "store": 12, "return": 9, "chat": 7}
CHANNEL_OF: Final = {"call-centre": "phone", "chat": "chat", "store": "store"}
MOOD: Final = {  # chances of 0 to 10, by touchpoint: deliveries and returns hurt more
    "call-centre": (2, 1, 2, 2, 2, 4, 5, 11, 17, 24, 30),
    "delivery": (3, 2, 2, 3, 3, 5, 6, 11, 16, 22, 27),
    "web-shop": (1, 1, 1, 1, 2, 3, 4, 11, 18, 27, 31),
    "store": (1, 0, 1, 1, 1, 2, 3, 8, 16, 28, 39),
    "return": (4, 2, 3, 3, 4, 6, 6, 12, 17, 20, 23),
    "chat": (3, 2, 2, 3, 3, 5, 6, 12, 18, 22, 24),
}
BAD_DAYS: Final = 9  # lately, deliveries go wrong
BAD_DELIVERY: Final = (13, 7, 6, 7, 7, 8, 8, 11, 12, 11, 10)
WHY: Final = {
    "call-centre": ("cut_off", "repeat_myself", "not_solved"),
    "delivery": ("late_or_damaged", "not_solved"),
    "return": ("not_solved", "repeat_myself"),
    "store": ("other", "not_solved"),
    "web-shop": ("other", "not_solved"),
    "chat": ("cut_off", "repeat_myself"),
}
ITEMS: Final = (
    "Fjell 3 tent",
    "Down jacket",
    "Trail boots",
    "Stove gas",
    "Rucksack 45 l",
    "Sleeping mat",
    "Rain shell",
)


@dataclass
class Person:
    """A made-up customer while the year is written."""

    id: int
    name: str
    email: str
    phone: str
    language: str
    tier: str
    rests_until: datetime
    row: dict[str, Any] = field(default_factory=dict)


def band(score: int) -> str:
    return "detractor" if score <= 6 else "passive" if score <= 8 else "promoter"


class Year:
    """Collects the year's rows; `write` copies them."""

    def __init__(self, house: House, *, interactions: int, now: datetime, seed: int = 2417) -> None:
        self.house, self.now, self.count = house, now, interactions
        self.dice = Random(seed)
        self.bulk = Bulk()
        self.recovery = Recovery(house, self.bulk, self.dice, now)
        self.people = [self.person() for _ in range(max(60, interactions // 4))]
        self.reference = 50_000

    def write(self) -> int:
        """Write everything in the session's transaction; return how many rows."""
        for at in sorted(self._moment() for _ in range(self.count)):
            self._interaction(self.dice.choice(self.people), self._touchpoint(), at)
        self._left_half_done()
        today.play(self)
        self.recovery.settle_money()
        return self.bulk.copy()

    def _left_half_done(self) -> None:
        """Collect baskets and returns that were started and not completed; nobody is asked about them yet."""
        for at in sorted(self._moment() for _ in range(self.count // 15)):
            key = self.dice.choices(("web-shop", "return", "chat"), (7, 2, 1))[0]
            interaction = self.happen(self.dice.choice(self.people), key, at, status="started")
            self.bulk.add(
                Decision, interaction_id=interaction, outcome="skipped", rule="conditions", inputs={}, decided_at=at
            )

    def person(self, name: str = "", language: str = "", tier: str = "") -> Person:
        dice = self.dice
        language = language or _drawn(dice, people.LANGUAGES)
        first = dice.choice(people.FIRST[language])
        handle = _ascii(name.split()[0].lower()) if name else _handle(first, language)
        name = name or f"{first} {dice.choice(people.LAST[language])}"
        public_id = new_public_id()
        since = self.now - timedelta(days=dice.randint(30, 2500))
        row: dict[str, Any] = {
            "public_id": public_id,
            "external_id": f"NW-C{len(self.bulk.rows(Customer)) + 10_001}",
            "name": name,
            "email": f"{handle}.{len(self.bulk.rows(Customer)) + 1}@mail.example",
            "phone": f"+4940555{dice.randint(10_000, 99_999)}",
            "language": language,
            "tier": tier or _drawn(dice, people.TIERS),
            "survey_consent": "withdrawn" if dice.random() < 0.03 else "unknown",
            "marketing_consent": "given" if dice.random() < 0.5 else "unknown",
            "value_minor": 0,
            "value_currency": "EUR",
            "created_at": since,
        }
        row_id = self.bulk.add(Customer, **row)
        kept = self.bulk.rows(Customer)[-1]
        return Person(row_id, name, row["email"], row["phone"], language, row["tier"], since, kept)

    def _moment(self) -> datetime:
        """Return a moment of the past year in shop hours, more of them before Christmas and on weekdays."""
        dice = self.dice
        while True:
            day = (self.now - timedelta(days=dice.uniform(0.4, DAYS))).astimezone(BERLIN)
            busy = 1.0 if day.month in (11, 12) else 0.7
            if dice.random() < busy * (0.6 if day.weekday() >= 5 else 1.0):
                break
        local = day.replace(
            hour=min(19, int(dice.triangular(8, 20, 12))), minute=dice.randrange(60), second=dice.randrange(60)
        )
        return min(local.astimezone(UTC), self.now - timedelta(hours=5))

    def _touchpoint(self) -> str:
        return self.dice.choices(list(TOUCHPOINT_WEIGHTS), list(TOUCHPOINT_WEIGHTS.values()))[0]

    def _interaction(self, person: Person, key: str, at: datetime) -> None:
        interaction = self.happen(person, key, at)
        outcome, rule = self._decision(person, key, at)
        due = at + (timedelta(0) if key == "call-centre" else ASKED)
        self.bulk.add(
            Decision,
            interaction_id=interaction,
            outcome=outcome,
            rule=rule,
            send_at=due if outcome == "invited" else None,
            next_eligible_at=person.rests_until if rule == "quarantine" else None,
            inputs={"touchpoint": key},
            decided_at=at,
        )
        if outcome == "invited":
            person.rests_until = due + REST
            self._ask(person, key, interaction, at, due)

    def happen(self, person: Person, key: str, at: datetime, *, reference: str = "", status: str = "completed") -> int:
        """Collect one interaction with its money, which only a completed one brings; return its id."""
        self.reference += self.dice.randint(1, 4)
        spent = int(self.dice.lognormvariate(4.2, 0.8) * 100) if key in {"delivery", "web-shop", "store"} else 0
        person.row["value_minor"] += spent if status == "completed" else 0
        reference = reference or f"{'CALL' if key == 'call-centre' else 'NW'}-{self.reference}"
        return self.bulk.add(
            Interaction,
            public_id=new_public_id(),
            touchpoint_id=self.house.touchpoints[key].id,
            customer_id=person.id,
            reference=reference,
            occurred_at=at,
            channel=CHANNEL_OF.get(key, "web"),
            staff_name=None,
            value_minor=spent or None,
            currency="EUR" if spent else None,
            status=status,
            attributes={"item": self.dice.choice(ITEMS)} if spent else {},
            received_at=at,
        )

    def _decision(self, person: Person, key: str, at: datetime) -> tuple[str, str]:
        if person.row["survey_consent"] == "withdrawn":
            return "skipped", "consent"
        if at < person.rests_until:
            return "skipped", "quarantine"
        if key != "call-centre" and self.dice.random() > 0.7:
            return "skipped", "sampling"
        return "invited", key

    def _ask(self, person: Person, key: str, interaction: int, at: datetime, due: datetime) -> None:
        bounced = self.dice.random() < 0.015
        answers = not bounced and self.dice.random() < (0.28 if key == "call-centre" else 0.24)
        answered_at = min(due + timedelta(minutes=self.dice.lognormvariate(5.2, 1.4)), self.now - timedelta(minutes=30))
        invitation = self.invite(person, key, interaction, due, answered=answers and answered_at > due, bounced=bounced)
        if answers and answered_at > due:
            lately = key == "delivery" and answered_at > self.now - timedelta(days=BAD_DAYS)
            score = self.dice.choices(range(11), BAD_DELIVERY if lately else MOOD[key])[0]
            self.answer(
                person, key, interaction, invitation, answered_at, score, self._words(key, score, person.language)
            )
        elif not bounced and self.dice.random() < 0.06:
            begun = {"partial": {"nps": 8}, "partial_at": answered_at, "half_answered": True}  # one of two that applied
            self.bulk.rows(Invitation)[-1] |= begun

    def invite(
        self, person: Person, key: str, interaction: int, sent: datetime, *, answered: bool, bounced: bool = False
    ) -> int:
        """Collect an invitation that was sent, and its message; return the invitation's id."""
        expired = sent + EXPIRES < self.now
        state = InvitationState.ANSWERED if answered else InvitationState.EXPIRED if expired else InvitationState.SENT
        public_id = new_public_id()
        message = self.bulk.add(
            Message,
            public_id=new_public_id(),
            kind="invitation",
            version=1,
            reason=f"year:{public_id}",
            language=person.language,
            brand_id=self.house.brand.id,
            customer_id=person.id,
            to_address=person.email,
            to_name=person.name,
            values={},
            state=State.BOUNCED if bounced else State.DELIVERED,
            state_at=sent,
            failure="permanent" if bounced else None,
            created_at=sent,
            handed_over_at=sent,
            erased_at=sent,
        )
        person.row["last_invited_at"] = sent
        invitation = self.bulk.add(
            Invitation,
            public_id=public_id,
            survey_id=self.house.survey.id,
            version_id=self.house.version_id,
            interaction_id=interaction,
            touchpoint_id=self.house.touchpoints[key].id,
            customer_id=person.id,
            message_id=message,
            channel="email",
            language=person.language,
            state=state,
            created_at=sent,
            send_at=sent,
            sent_at=sent,
            expires_at=sent + EXPIRES,
            partial={},
        )
        reward = self.recovery.advertise(person, invitation, sent, sent + EXPIRES, answered=answered)
        self.bulk.rows(Invitation)[-1]["reward_id"] = reward
        return invitation

    def answer(
        self, person: Person, key: str, interaction: int, invitation: int, at: datetime, score: int, words: str | None
    ) -> int:
        """Collect a response with its reward, and when it is unhappy its case; return the response's id."""
        why = list(self.dice.sample(WHY[key], self.dice.randint(1, 2))) if score <= 6 else []
        wants = self.dice.choices(("phone", "email", "none"), (5, 3, 2))[0] if score <= 6 else ""
        response = self.respond(person, key, interaction, invitation, at, score, words=words, why=why, wants=wants)
        if score <= 6:
            unhappy = Unhappy(person, key, interaction, response, score, why, wants, words, at)
            mended = self.recovery.work(unhappy)
            if mended is not None:
                self._ask_again(unhappy, mended.case, mended.check, mended.score, mended.at)
        return response

    def respond(
        self,
        person: Person,
        key: str,
        interaction: int,
        invitation: int,
        at: datetime,
        score: int,
        *,
        words: str | None,
        why: list[str],
        wants: str,
    ) -> int:
        """Collect a response and its reward; return the response's id."""
        response = self.bulk.add(
            Response,
            **_response(self.house, person, at=at, score=score, comment=words, why=why, contact=wants or None),
            invitation_id=invitation,
            touchpoint_id=self.house.touchpoints[key].id,
            interaction_id=interaction,
        )
        self.bulk.add(
            Event,
            kind="response.completed",
            at=at,
            actor="customer",
            customer_id=person.id,
            data={"response": response, "metric": "nps", "score": score},
        )
        _feel(person, score, at)
        self.recovery.thank(person, invitation, at)
        return response

    def _ask_again(self, unhappy: Unhappy, case: int, check: int, score: int, at: datetime) -> None:
        """Collect the outcome check's invitation and answer, bound to the first answer."""
        person = unhappy.person
        invitation = self.bulk.add(
            Invitation,
            public_id=new_public_id(),
            survey_id=self.house.survey.id,
            version_id=self.house.version_id,
            touchpoint_id=self.house.touchpoints[unhappy.touchpoint].id,
            interaction_id=unhappy.interaction,
            customer_id=person.id,
            outcome_check_id=check,
            case_id=case,
            channel="email",
            language=person.language,
            state=InvitationState.ANSWERED,
            created_at=at - timedelta(hours=20),
            send_at=at - timedelta(hours=20),
            sent_at=at - timedelta(hours=20),
            expires_at=at + EXPIRES,
            partial={},
        )
        words = self.dice.choice(voices.MENDED[person.language]) if score >= 9 and self.dice.random() < 0.6 else None
        self.bulk.add(
            Response,
            **_response(self.house, person, at=at, score=score, comment=words, why=[], contact=None),
            invitation_id=invitation,
            touchpoint_id=self.house.touchpoints[unhappy.touchpoint].id,
            interaction_id=unhappy.interaction,
            outcome_check_id=check,
            first_response_id=unhappy.response,
        )
        _feel(person, score, at)
        if score >= 7:
            person.row["won_back_at"] = at

    def _words(self, key: str, score: int, language: str) -> str | None:
        if self.dice.random() > (0.75 if score <= 6 else 0.3):
            return None
        said = voices.UNHAPPY[key] if score <= 6 else (voices.SO_SO if score <= 8 else voices.HAPPY)["any"]
        return self.dice.choice(said[language])


def _response(
    house: House,
    person: Person,
    *,
    at: datetime,
    score: int,
    comment: str | None,
    why: Sequence[str],
    contact: str | None,
) -> dict[str, Any]:
    answers: dict[str, Any] = {"nps": score}
    if why:
        answers["why"] = list(why)
    if contact:
        answers["contact"] = contact
    return {
        "public_id": new_public_id(),
        "survey_id": house.survey.id,
        "version_id": house.version_id,
        "brand_id": house.brand.id,
        "customer_id": person.id,
        "channel": "email",
        "language": person.language,
        "state": ResponseState.COMPLETE,
        "metric": "nps",
        "question": "nps",
        "score": score,
        "scores": {},
        "why": list(why),
        "answers": answers,
        "comment": comment,
        "contact": contact,
        "answered_at": at,
        "received_at": at,
    }


def _drawn(dice: Random, weighted: Sequence[tuple[str, int]]) -> str:
    return dice.choices([word for word, _ in weighted], [weight for _, weight in weighted])[0]


def _feel(person: Person, score: int, at: datetime) -> None:
    row = person.row
    if row.get("profile_at") is None or row["profile_at"] <= at:
        row |= {"profile": band(score), "profile_metric": "nps", "profile_score": score, "profile_at": at}


def _handle(first: str, language: str) -> str:
    """Return how a first name is written in an address."""
    if language in people.LATIN:
        return people.LATIN[language][people.FIRST[language].index(first)]
    return _ascii(first.lower())


def _ascii(word: str) -> str:
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("é", "e")):
        word = word.replace(letter, plain)
    return "".join(letter for letter in word if letter.isascii() and letter.isalnum()) or "kunde"
