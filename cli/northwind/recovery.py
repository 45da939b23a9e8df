"""How Northwind's cases went: the older ones worked off and asked again, the newest still on the desk."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from cli.bulk import Bulk
from cli.northwind import voices
from cli.northwind.house import House
from cli.northwind.problems import LESS_SINCE
from core import working_time
from core.db import db, new_public_id
from core.events import Event, staff_actor
from feedback.models import (
    Case,
    CaseClock,
    CaseEntry,
    CaseState,
    ClockEvent,
    ClockKind,
    EntryKind,
    Origin,
    OutcomeCheck,
    OutcomeState,
    Priority,
    Promise,
    PromiseState,
    Resolution,
)
from incentives.models import Account, LedgerEntry, Programme, Reward, RewardState

if TYPE_CHECKING:
    from cli.northwind.year import Person

LETTERS: Final = "ACDEFGHJKLMNPQRTUVWXY34679"
THANKED_SINCE: Final = timedelta(days=150)  # when the thank-you programme began
AGENTS: Final = ("Daniel", "Priya", "Tomasz", "Sofia")


@dataclass(frozen=True)
class Unhappy:
    """An unhappy answer, as it opens a case."""

    person: Person
    touchpoint: str
    interaction: int
    response: int | None
    score: int | None
    why: list[str]
    wants: str
    words: str | None
    at: datetime


@dataclass(frozen=True)
class Mended:
    """An outcome check that was answered."""

    case: int
    check: int
    score: int
    at: datetime


@dataclass(frozen=True)
class Deadlines:
    policy: str
    first_contact: int  # working minutes
    resolution: int
    priority: str


class Recovery:
    """Collects cases with everything that belongs to them, and the money that was given."""

    def __init__(self, house: House, bulk: Bulk, dice: Random, now: datetime) -> None:
        self.house, self.bulk, self.dice, self.now = house, bulk, dice, now
        self.calendar = working_time.Calendar.from_json(
            {"zone": house.calendar.zone, "weekly": house.calendar.weekly, "closed_on": []}
        )
        self.spent: dict[int, int] = defaultdict(int)
        self.reserved: dict[int, int] = defaultdict(int)

    def work(self, unhappy: Unhappy) -> Mended | None:
        """Collect the case of an unhappy answer as it stands today; return its answered outcome check, if any."""
        age = self.now - unhappy.at
        if age < timedelta(hours=30) or (age < timedelta(days=12) and self.dice.random() < 0.35):
            self.on_desk(unhappy)
            return None
        return self._worked_off(unhappy)

    def deadlines(self, unhappy: Unhappy) -> Deadlines:
        if unhappy.person.tier == "Summit":
            return Deadlines("Summit tier", 120, 960, Priority.HIGH)
        if unhappy.score is not None and unhappy.score <= 1:
            return Deadlines("Score 0–1", 120, 1440, Priority.URGENT)
        return Deadlines("Score 0–6 or complaint", 240, 1440, Priority.NORMAL)

    def open(self, unhappy: Unhappy, *, agent: str | None, **values: Any) -> int:
        """Collect the case's row; return its id."""
        limits = self.deadlines(unhappy)
        first_due = self._add(unhappy.at, limits.first_contact)
        row = {
            "public_id": new_public_id(),
            "reason": f"response:{unhappy.response}" if unhappy.response else f"complaint:{new_public_id()}",
            "origin": Origin.ANSWER if unhappy.response else Origin.COMPLAINT,
            "brand_id": self.house.brand.id,
            "touchpoint_id": self.house.touchpoints[unhappy.touchpoint].id,
            "interaction_id": unhappy.interaction,
            "customer_id": unhappy.person.id,
            "response_id": unhappy.response,
            "survey_id": self.house.survey.id,
            "question": "nps",
            "metric": "nps" if unhappy.score is not None else None,
            "score": unhappy.score,
            "why": unhappy.why,
            "summary": voices.SUMMARIES[unhappy.touchpoint],
            "words": unhappy.words,
            "language": unhappy.person.language,
            "wants": unhappy.wants,
            "state": CaseState.OPEN,
            "priority": limits.priority,
            "team_id": (self.house.summit_desk if limits.policy == "Summit tier" else self.house.team).id,
            "assignee_id": self.house.staff[agent].id if agent else None,
            "assigned_at": unhappy.at + timedelta(minutes=4) if agent else None,
            "opened_at": unhappy.at,
            "due_at": first_due,
            "next_act": "first_contact",
        }
        case = self.bulk.add(Case, **(row | values))
        self.event("case.opened", case, unhappy, unhappy.at, "rule", score=unhappy.score)
        return case

    def clock(
        self, kind: ClockKind, case: int, unhappy: Unhappy, *, minutes: int, stopped_at: datetime | None
    ) -> datetime:
        """Collect a clock from the case's opening on; return when it is due."""
        due = self._add(unhappy.at, minutes)
        breach = (stopped_at or self.now) > due
        clock = self.bulk.add(
            CaseClock,
            case_id=case,
            kind=kind,
            target_minutes=minutes,
            calendar_id=self.house.calendar.id,
            policy=self.deadlines(unhappy).policy,
            started_at=unhappy.at,
            due_at=due,
            warn_at=self._add(unhappy.at, int(minutes * 0.75)),
            stopped_at=stopped_at,
            breached_at=due if breach else None,
        )
        self.bulk.add(ClockEvent, clock_id=clock, kind="start", actor="rule", at=unhappy.at)
        if stopped_at:
            self.bulk.add(ClockEvent, clock_id=clock, kind="stop", actor="system", at=stopped_at)
        return due

    def promise(
        self,
        case: int,
        words: str,
        *,
        by: str | None,
        made: datetime,
        due: datetime,
        kind: str = "other",
        ended: datetime | None = None,
    ) -> None:
        """Collect a promise; one with an end was kept, in time or late; one without is open, or broken when due."""
        state = PromiseState.OPEN if due > self.now else PromiseState.BROKEN
        if ended is not None:
            state = PromiseState.KEPT if ended <= due else PromiseState.LATE
        broken_at = due if state == PromiseState.BROKEN else None
        self.bulk.add(
            Promise,
            public_id=new_public_id(),
            case_id=case,
            kind=kind,
            words=words,
            due_at=due,
            due_zone="Europe/Berlin",
            keeper_id=self.house.staff[by].id if by else None,
            made_by=staff_actor(self.house.staff[by].id) if by else "rule",
            made_at=made,
            state=state,
            ended_at=ended or broken_at,
            ended_by="system" if broken_at else (staff_actor(self.house.staff[by].id) if by and ended else None),
        )

    def entry(self, case: int, kind: EntryKind, at: datetime, *, by: str | None, body: str, **values: Any) -> None:
        staff_id = self.house.staff[by].id if by else None
        self.bulk.add(
            CaseEntry, public_id=new_public_id(), case_id=case, kind=kind, at=at, staff_id=staff_id, body=body, **values
        )

    def event(self, kind: str, case: int, unhappy: Unhappy, at: datetime, actor: str, **data: Any) -> None:
        self.bulk.add(
            Event,
            kind=kind,
            at=at,
            actor=actor,
            customer_id=unhappy.person.id,
            case_id=case,
            data={"case": case, **data},
        )

    def advertise(
        self, person: Person, invitation: int, at: datetime, until: datetime, *, answered: bool
    ) -> int | None:
        """Collect what an invitation promises for answering: set aside, and given back where the time ran out."""
        if at < self.now - THANKED_SINCE or answered:
            return None
        lapsed = until <= self.now
        programme = self.house.thanks
        reward = self._reward_row(
            programme,
            person,
            f"invitation:{invitation}",
            at,
            500,
            state=RewardState.RELEASED if lapsed else RewardState.RESERVED,
            by="rule",
            reserved_until=until,
            released_at=until if lapsed else None,
        )
        self._transfer(programme, reward, "reserved", (Account.BUDGET, Account.RESERVED), 500, at, "rule")
        if lapsed:
            self._transfer(programme, reward, "released", (Account.RESERVED, Account.BUDGET), 500, until, "rule")
        else:
            self.reserved[programme.id] += 500
        return reward

    def thank(self, person: Person, invitation: int, at: datetime) -> None:
        """Collect the reward for answering, since there is one."""
        if at > self.now - THANKED_SINCE:
            self._given(self.house.thanks, person, f"invitation:{invitation}", at, 500, by="rule")

    def give(self, case: int, unhappy: Unhappy, at: datetime, amount: int, *, by: str, words: str) -> None:
        """Collect a goodwill gesture."""
        actor = staff_actor(self.house.staff[by].id)
        reason = f"goodwill:{new_public_id()}"
        self._given(self.house.goodwill, unhappy.person, reason, at, amount, by=actor, case_id=case, words=words)

    def settle_money(self) -> None:
        """Bring the programmes' columns and the ledger's order in line with the rewards that were collected."""
        for programme in (self.house.thanks, self.house.goodwill):
            programme.spent_minor = self.spent[programme.id]
            programme.reserved_minor = self.reserved[programme.id]
        entries = self.bulk.rows(LedgerEntry)
        ids = sorted(row["id"] for row in entries)
        entries.sort(key=lambda row: row["at"])
        for row, row_id in zip(entries, ids, strict=True):
            row["id"] = row_id
        db.session.flush()

    def on_desk(self, unhappy: Unhappy) -> int:
        """Collect a case that is still open and under way: contacted, and something promised."""
        agent = self.dice.choice(AGENTS)
        limits = self.deadlines(unhappy)
        contact = min(self._add(unhappy.at, self.dice.randint(20, 200)), self.now - timedelta(minutes=20))
        case = self.open(unhappy, agent=agent)
        first_due = self.clock(ClockKind.FIRST_CONTACT, case, unhappy, minutes=limits.first_contact, stopped_at=contact)
        limit = max(limits.resolution, self.minutes_until(unhappy.at, self.now) + self.dice.randint(60, 900))
        due = self.clock(ClockKind.RESOLUTION, case, unhappy, minutes=limit, stopped_at=None)
        row = self.bulk.rows(Case)[-1]
        if unhappy.wants == "phone":
            self.promise(case, "Call you back", by=agent, made=unhappy.at, due=first_due, kind="contact", ended=contact)
        self.entry(
            case, EntryKind.CALL, contact, by=agent, body=self.dice.choice(voices.NOTES), reached=True, minutes=6
        )
        words, hours = self.dice.choice(voices.PROMISES)
        promised = self.now + timedelta(hours=self.dice.uniform(1, hours))
        self.promise(case, words, by=agent, made=contact, due=promised)
        waits = self.dice.random() < 0.3
        row |= {
            "state": CaseState.WAITING if waits else CaseState.RECOVERY,
            "first_contact_at": contact,
            "due_at": min(promised, due),
            "next_act": "promise" if promised <= due else "resolution",
        }
        return case

    def _worked_off(self, unhappy: Unhappy) -> Mended | None:
        agent = self.dice.choice(AGENTS)
        limits = self.deadlines(unhappy)
        contact = self._add(unhappy.at, int(self.dice.lognormvariate(4.6, 0.7)) + 5)
        resolved = self._add(contact, self.dice.randint(60, 1500))
        if resolved > self.now - timedelta(hours=2):
            self.on_desk(unhappy)
            return None
        case = self.open(unhappy, agent=agent)
        first_due = self.clock(ClockKind.FIRST_CONTACT, case, unhappy, minutes=limits.first_contact, stopped_at=contact)
        self.clock(ClockKind.RESOLUTION, case, unhappy, minutes=limits.resolution, stopped_at=resolved)
        self._talk(case, unhappy, agent, contact, resolved, first_due)
        cause = self.house.causes[self._cause(unhappy)]
        actor = staff_actor(self.house.staff[agent].id)
        self.bulk.add(Resolution, case_id=case, root_cause_id=cause.id, by=actor, at=resolved)
        self.event("case.resolved", case, unhappy, resolved, actor, cause=cause.id)
        row = next(row for row in reversed(self.bulk.rows(Case)) if row["id"] == case)
        row |= {
            "state": CaseState.RESOLVED,
            "first_contact_at": contact,
            "resolved_at": resolved,
            "root_cause_id": cause.id,
            "due_at": resolved + timedelta(days=7),
            "next_act": "outcome",
        }
        return self._outcome(case, unhappy, row, resolved + timedelta(days=7))

    def _cause(self, unhappy: Unhappy) -> str:
        known = voices.CAUSE_OF[unhappy.touchpoint]
        mended = [key for key in known if key in LESS_SINCE and unhappy.at > self.now - LESS_SINCE[key]]
        return self.dice.choice([key for key in known if key not in mended])

    def _talk(
        self, case: int, unhappy: Unhappy, agent: str, contact: datetime, resolved: datetime, first_due: datetime
    ) -> None:
        if unhappy.wants == "phone":
            self.promise(case, "Call you back", by=agent, made=unhappy.at, due=first_due, kind="contact", ended=contact)
        self.entry(
            case, EntryKind.CALL, contact, by=agent, body=self.dice.choice(voices.NOTES), reached=True, minutes=7
        )
        words, hours = self.dice.choice(voices.PROMISES)
        due = contact + timedelta(hours=hours)
        if due < self.now:
            fate = self.dice.random()
            ended = None if fate < 0.05 else due + timedelta(hours=3) if fate < 0.1 else min(resolved, due)
            self.promise(case, words, by=agent, made=contact, due=due, ended=ended)
        if self.dice.random() < 0.4:
            body = voices.REPLIES[unhappy.person.language]
            self.entry(case, EntryKind.REPLY, resolved - timedelta(minutes=20), by=agent, body=body)
        if self.dice.random() < 0.3 and self.now - contact < timedelta(days=200):
            amount = self.dice.choice((1000, 1500, 2000, 2500, 4000))
            self.give(
                case, unhappy, contact + timedelta(minutes=6), amount, by=agent, words="For the trouble we caused."
            )

    def _outcome(self, case: int, unhappy: Unhappy, row: dict[str, Any], asked: datetime) -> Mended | None:
        if asked > self.now:
            self._check(case, OutcomeState.PENDING, asked)
            return None
        answered = asked + timedelta(hours=self.dice.uniform(1, 60))
        if self.dice.random() < 0.35 or answered > self.now:
            silent = asked + timedelta(days=30)
            if silent > self.now:
                self._check(case, OutcomeState.ASKED, asked)
                return None
            self._check(case, OutcomeState.SILENT, asked)
            row |= {"state": CaseState.CLOSED, "closed_at": silent}
            return None
        won = self.dice.random() < 0.62
        score = self.dice.choice((7, 8, 8, 9, 9, 9, 10)) if won else self.dice.choice((2, 3, 4, 5, 6, 6))
        check = self._check(case, OutcomeState.ANSWERED, asked, answered_at=answered, score=score, won_back=won)
        row |= {"state": CaseState.CLOSED, "closed_at": answered, "won_back_at": answered if won else None}
        self.event("case.won_back" if won else "case.not_won_back", case, unhappy, answered, "customer", score=score)
        return Mended(case, check, score, answered)

    def _check(self, case: int, state: OutcomeState, due: datetime, **values: Any) -> int:
        asked = None if state == OutcomeState.PENDING else due
        return self.bulk.add(
            OutcomeCheck,
            public_id=new_public_id(),
            case_id=case,
            state=state,
            asked_because="resolved",
            due_at=due,
            asked_at=asked,
            **values,
        )

    def _given(
        self, programme: Programme, person: Person, reason: str, at: datetime, amount: int, *, by: str, **more: Any
    ) -> None:
        values = {"state": RewardState.ISSUED, "issued_at": at, "usable_until": at + timedelta(days=90), "by": by}
        code = f"{programme.code_prefix}-" + "".join(self.dice.choices(LETTERS, k=6))
        reward = self._reward_row(programme, person, reason, at, amount, code=code, **values, **more)
        self._transfer(programme, reward, "reserved", (Account.BUDGET, Account.RESERVED), amount, at, by)
        self._transfer(programme, reward, "spent", (Account.RESERVED, Account.SPENT), amount, at, by)
        self.spent[programme.id] += amount

    def _reward_row(
        self, programme: Programme, person: Person, reason: str, at: datetime, amount: int, **values: Any
    ) -> int:
        return self.bulk.add(
            Reward,
            public_id=new_public_id(),
            programme_id=programme.id,
            customer_id=person.id,
            reason=reason,
            amount_minor=amount,
            currency="EUR",
            created_at=at,
            **values,
        )

    def _transfer(
        self,
        programme: Programme,
        reward: int,
        kind: str,
        accounts: tuple[Account, Account],
        amount: int,
        at: datetime,
        by: str,
    ) -> None:
        transfer = new_public_id()
        for account, signed in zip(accounts, (-amount, amount), strict=True):
            self.bulk.add(
                LedgerEntry,
                transfer_id=transfer,
                programme_id=programme.id,
                reward_id=reward,
                account=account,
                amount_minor=signed,
                currency="EUR",
                kind=kind,
                by=by,
                at=at,
            )

    def _add(self, at: datetime, minutes: int) -> datetime:
        return working_time.add(at, timedelta(minutes=minutes), self.calendar)

    def minutes_until(self, start: datetime, end: datetime) -> int:
        """Return the working minutes between two moments, at least 15."""
        return max(15, int(working_time.between(start, end, self.calendar) / timedelta(minutes=1)))
