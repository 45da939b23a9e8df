"""The desk as it stands today: a dozen people with cases at every stage, and something due in every hour to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from cli.northwind.recovery import Recovery, Unhappy
from core import working_time
from feedback.models import Case, CaseState, ClockKind, EntryKind

if TYPE_CHECKING:
    from cli.northwind.year import Person, Year


@dataclass(frozen=True)
class Scene:
    """One open case: what was said, what is due in `due_min` minutes (negative: it is over), and who has it."""

    name: str
    tier: str
    language: str
    touchpoint: str
    score: int | None
    words: str
    due_min: int
    agent: str | None
    promise: str = ""  # empty: the first contact is what is due
    wants: str = "phone"


SCENES: Final = (
    Scene(
        "Marc Oudin",
        "Summit",
        "en",
        "return",
        1,
        "Third week without my refund. Each time someone tells me “tomorrow”.",
        -130,
        "Daniel",
        "Refund of €149",
    ),
    Scene(
        "Aylin Demir",
        "Ridge",
        "en",
        "store",
        3,
        "The boot fitting I had booked didn’t exist when I arrived.",
        -40,
        None,
    ),
    Scene(
        "Ottilie Brandt",
        "Summit",
        "en",
        "delivery",
        0,
        "Parcel left out in the rain. The down jacket is soaked through.",
        25,
        "Priya",
    ),
    Scene(
        "Kwame Mensah",
        "Ridge",
        "en",
        "chat",
        4,
        "Four chats, four different answers about the boot warranty.",
        50,
        "Tomasz",
        "Call back about the warranty",
    ),
    Scene(
        "Léa Fontaine",
        "Trail",
        "en",
        "web-shop",
        None,
        "You charged me twice for one order. My bank confirms both.",
        70,
        None,
    ),
    Scene(
        "Jürgen Haas",
        "Ridge",
        "de",
        "call-centre",
        5,
        "Freundlich, aber niemand durfte etwas entscheiden.",
        80,
        "Sofia",
        "Call back with a decision",
    ),
    Scene(
        "Noor Haddad", "Summit", "ar", "delivery", 2, "وصلت الحقيبة ناقصة قطعة ولم يرد أحد على رسائلي.", 110, "Sofia"
    ),
    Scene(
        "Beatriz Sousa",
        "Trail",
        "en",
        "web-shop",
        6,
        "The app forgets my size every time, so I ordered the wrong one.",
        170,
        "Priya",
        "Reply about the exchange",
        "email",
    ),
    Scene(
        "Eilidh Murray",
        "Ridge",
        "en",
        "return",
        3,
        "I paid for the return label although the shoe was faulty.",
        200,
        "Daniel",
        "Refund label, €6.90",
    ),
    Scene("Sven Halvorsen", "Trail", "en", "delivery", 4, "Second missed delivery slot in one week.", 230, "Tomasz"),
)
HANNA: Final = (
    "The tent came four days late with a cracked pole, and when I rang, I was cut off after 24 minutes. "
    "We leave on Friday."
)


def play(year: Year) -> None:
    """Collect today's cases, with Hanna Keller's, which has a bit of everything."""
    for scene in SCENES:
        _play(year, scene)
    _hanna(year)


def _play(year: Year, scene: Scene) -> None:
    now, recovery = year.now, year.recovery
    heard = now - timedelta(hours=26 if scene.promise else 4, minutes=max(0, -scene.due_min) + 7)
    unhappy = _answered(year, scene, heard)
    if scene.promise:
        _promised(recovery, unhappy, scene, now)
    else:
        _waiting_for_first_contact(recovery, unhappy, scene, now)


def _answered(year: Year, scene: Scene, at: datetime) -> Unhappy:
    person = year.person(scene.name, scene.language, scene.tier)
    interaction = year.happen(person, scene.touchpoint, at - timedelta(hours=20))
    response = None
    why = ["not_solved"]
    if scene.score is not None:
        invitation = year.invite(person, scene.touchpoint, interaction, at - timedelta(hours=18), answered=True)
        response = year.respond(
            person,
            scene.touchpoint,
            interaction,
            invitation,
            at,
            scene.score,
            words=scene.words,
            why=why,
            wants=scene.wants,
        )
    return Unhappy(person, scene.touchpoint, interaction, response, scene.score, why, scene.wants, scene.words, at)


def _waiting_for_first_contact(recovery: Recovery, unhappy: Unhappy, scene: Scene, now: datetime) -> None:
    minutes = recovery.minutes_until(unhappy.at, now + timedelta(minutes=scene.due_min))
    case = recovery.open(unhappy, agent=scene.agent)
    row = recovery.bulk.rows(Case)[-1]
    due = recovery.clock(ClockKind.FIRST_CONTACT, case, unhappy, minutes=minutes, stopped_at=None)
    recovery.clock(ClockKind.RESOLUTION, case, unhappy, minutes=minutes + 1440, stopped_at=None)
    if unhappy.wants == "phone":
        recovery.promise(case, "Call you back", by=scene.agent, made=unhappy.at, due=due, kind="contact")
    row |= {"due_at": due}


def _promised(recovery: Recovery, unhappy: Unhappy, scene: Scene, now: datetime) -> None:
    agent = scene.agent or "Sofia"
    contact = unhappy.at + timedelta(minutes=50)
    case = recovery.open(unhappy, agent=agent)
    row = recovery.bulk.rows(Case)[-1]
    recovery.clock(ClockKind.FIRST_CONTACT, case, unhappy, minutes=240, stopped_at=contact)
    minutes = recovery.minutes_until(unhappy.at, now + timedelta(hours=20))
    recovery.clock(ClockKind.RESOLUTION, case, unhappy, minutes=minutes, stopped_at=None)
    recovery.entry(
        case,
        EntryKind.CALL,
        contact,
        by=agent,
        body="Explained it once more. Wants it settled today.",
        reached=True,
        minutes=5,
    )
    due = now + timedelta(minutes=scene.due_min)
    recovery.promise(case, scene.promise, by=agent, made=contact, due=due)
    row |= {"state": CaseState.RECOVERY, "first_contact_at": contact, "due_at": due, "next_act": "promise"}


def _hanna(year: Year) -> None:
    """Collect Hanna Keller's story: once won back, now a late tent, a broken promise, a call and goodwill."""
    now, recovery = year.now, year.recovery
    person = year.person("Hanna Keller", "de", "Summit")
    heard = now - timedelta(hours=5)
    _history(year, person)
    year.happen(person, "delivery", now - timedelta(days=2, hours=2), reference="NW-48213")
    call = year.happen(person, "call-centre", now - timedelta(hours=20))
    invitation = year.invite(person, "call-centre", call, now - timedelta(hours=19), answered=True)
    why = ["cut_off", "late_or_damaged"]
    response = year.respond(person, "call-centre", call, invitation, heard, 2, words=HANNA, why=why, wants="phone")
    unhappy = Unhappy(person, "call-centre", call, response, 2, why, "phone", HANNA, heard)
    case = recovery.open(unhappy, agent="Sofia", summary="Cracked tent pole, late delivery, dropped call")
    row = recovery.bulk.rows(Case)[-1]
    contact = now - timedelta(hours=3)
    first_due = recovery.clock(ClockKind.FIRST_CONTACT, case, unhappy, minutes=390, stopped_at=contact)
    recovery.clock(
        ClockKind.RESOLUTION,
        case,
        unhappy,
        minutes=recovery.minutes_until(heard, now + timedelta(days=3)),
        stopped_at=None,
    )
    recovery.promise(
        case, "Call you back", by="Sofia", made=heard, due=max(first_due, contact), kind="contact", ended=contact
    )
    missed = now - timedelta(hours=4)
    recovery.promise(case, "Send a tracking update", by="Sofia", made=heard + timedelta(minutes=5), due=missed)
    talk = (
        "Three adults and a child leave Friday at noon for the Harz. Only the poles matter to her, not the refund. "
        "Hamburg store has the pole set in stock. She was calm, and tired of repeating herself."
    )
    recovery.entry(case, EntryKind.CALL, contact, by="Sofia", body=talk, reached=True, minutes=7)
    due = working_time.local_moment((now + timedelta(days=1)).date(), time(10), "Europe/Berlin")
    recovery.promise(case, "New tent poles at her door", by="Sofia", made=contact + timedelta(minutes=4), due=due)
    recovery.give(
        case,
        unhappy,
        contact + timedelta(minutes=13),
        2500,
        by="Sofia",
        words="Four days late, and our broken promise on the tracking.",
    )
    thanks = (
        "Thank you for ringing so quickly, I didn’t expect that. "
        "If the poles are here before we leave at noon, all is forgiven."
    )
    recovery.entry(case, EntryKind.CUSTOMER, now - timedelta(minutes=22), by=None, body=thanks, language="en")
    row |= {"state": CaseState.RECOVERY, "first_contact_at": contact, "due_at": due, "next_act": "promise"}


def _history(year: Year, person: Person) -> None:
    for days, touchpoint, score, words in (
        (330, "return", 6, None),
        (200, "delivery", 9, None),
        (120, "store", 7, "Nice staff, but a very long queue."),
    ):
        at = year.now - timedelta(days=days)
        interaction = year.happen(person, touchpoint, at - timedelta(days=1))
        invitation = year.invite(person, touchpoint, interaction, at - timedelta(hours=20), answered=True)
        year.answer(person, touchpoint, interaction, invitation, at, score, words)
