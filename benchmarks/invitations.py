"""Invitations from waiting to handed over, against a bare loop that posts the same batches."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count

from sqlalchemy import text

from benchmarks import visits
from benchmarks.figures import Figure, interleave
from benchmarks.ground import Ground, Size
from benchmarks.stub import Stub
from cli.bulk import Bulk
from core import clock, outbox
from core.db import db, new_public_id
from core.outbox import Work
from customers.models import Brand, Customer, Interaction, Touchpoint
from surveys import versions
from surveys.models import Decision, Invitation, InvitationRule, InvitationState, Survey

DATABASE = "bench_invitations"
PATIENCE_SECONDS = 300
SECONDS_OF_10_000 = 10
WORKERS = 2  # one for each core, as the Procfile's worker-messages may be started
_numbers = count(1)


def run(ground: Ground, size: Size) -> list[Figure]:
    """All of the way: judged again, messages made, grouped, posted, noted. Without a reward; then the posting alone.

    By two workers.
    """
    visits.prepare(ground, DATABASE)
    stub = Stub(ground.logs / "bodies")
    shutil.rmtree(stub.keep, ignore_errors=True)
    pairs = 2 if size.quick else 3
    with stub, ground.inside(DATABASE, **stub.settings):
        db.session.query(InvitationRule).update({"programme_id": None})
        db.session.commit()
        workers = [ground.command(DATABASE, "worker", "messages", **stub.settings) for _ in range(WORKERS)]
        with workers[0], workers[1]:
            stub.keep.mkdir()
            _handed_over(200)  # warm
            for path in stub.keep.iterdir():
                path.unlink()
            first = _handed_over(size.invitations)
            bodies = stub.bodies()
            shutil.rmtree(stub.keep)
            took: list[float] = [first]

            def ours() -> float:
                took.append(_handed_over(size.invitations))
                return size.invitations / took[-1]

            found = interleave(ours, _bare(stub.port, bodies, size.invitations), pairs=pairs)
    return [
        found.figure(
            "invitations",
            f"{size.invitations:,} invitations, waiting to handed over / a bare loop posting the same batches",
            n=size.invitations * pairs,
            aim=0.5,
            words="{ours:,.0f} against {theirs:,.0f} a second",
        ),
        Figure(
            "invitations_seconds",
            f"{size.invitations:,} invitations, waiting to handed over",
            round(sorted(took)[len(took) // 2], 2),
            size.invitations * len(took),
            aim=SECONDS_OF_10_000 * size.invitations / 10_000,
            low=round(min(took), 2),
            high=round(max(took), 2),
            lower_is_better=True,
            unit=" s",
            measured=f"{WORKERS} workers, {sum(map(len, bodies)) / 1e6:.1f} MB in {len(bodies)} calls",
        ),
    ]


def _bare(port: int, bodies: list[bytes], invitations: int) -> Callable[[], float]:
    def posted() -> float:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        line.connect()
        begun = time.monotonic()
        for body in bodies:
            line.request("POST", "/v3/mail/send", body=body, headers={"Content-Type": "application/json"})
            line.getresponse().read()
        took = time.monotonic() - begun
        line.close()
        return invitations / took

    return posted


def _handed_over(wanted: int) -> float:
    """Let so many invitations fall due, ring the bell, and return the seconds until the last message was taken."""
    first = _make_waiting(wanted)
    begun = clock.now()
    db.session.execute(text("UPDATE outbox SET due_at = :now WHERE done_at IS NULL"), {"now": begun})
    db.session.commit()
    outbox.ring("messages")
    query = text("""
        SELECT count(*), count(m.handed_over_at), max(m.handed_over_at)
        FROM invitation i LEFT JOIN message m ON m.id = i.message_id WHERE i.id >= :first
    """)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.2)
        made, handed, last = db.session.execute(query, {"first": first}).one()
        db.session.rollback()
        if handed == wanted == made:
            seconds: float = (last - begun).total_seconds()
            return seconds
    raise RuntimeError(f"{handed} of {wanted} invitations were handed over within {PATIENCE_SECONDS} s.")


def _make_waiting(wanted: int) -> int:
    """Write invitations that fall due in an hour, as surveys.invitations.decide leaves them; return the first's id."""
    now = clock.now()
    due = now + timedelta(hours=1)
    brand = db.session.query(Brand).one()
    touchpoint = db.session.query(Touchpoint).filter_by(key="call-centre").one()
    survey_id = db.session.query(Survey.id).filter_by(key=brand.main_survey_key).scalar()
    version_id = versions.current(survey_id).id
    bulk, ids = Bulk(), []
    for _ in range(wanted):
        number = next(_numbers)
        customer = bulk.add(
            Customer,
            external_id=f"bench-{number}",
            name=f"Hanna Keller {number}",
            email=f"hanna.{number}@customers.example",
            language=("en", "de", "ar")[number % 3],
            created_at=now,
        )
        interaction = bulk.add(
            Interaction,
            touchpoint_id=touchpoint.id,
            customer_id=customer,
            reference=f"call-{number}",
            occurred_at=now - timedelta(hours=3),
            channel="phone",
            received_at=now,
        )
        bulk.add(
            Decision,
            interaction_id=interaction,
            outcome="delayed",
            rule="invited",
            send_at=due,
            inputs={},
            decided_at=now,
        )
        ids.append(
            bulk.add(
                Invitation,
                public_id=new_public_id(),
                survey_id=survey_id,
                version_id=version_id,
                interaction_id=interaction,
                touchpoint_id=touchpoint.id,
                customer_id=customer,
                channel="email",
                language=("en", "de", "ar")[number % 3],
                state=InvitationState.WAITING,
                created_at=now,
                send_at=due,
                expires_at=due + timedelta(days=30),
                partial={},
            )
        )
        bulk.add(
            Work,
            queue="messages",
            handler="invitation.send",
            dedupe_key=f"invitation.send:{ids[-1]}",
            ids={"invitation_id": ids[-1]},
            created_at=now,
            due_at=due,
        )
    bulk.copy()
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    return ids[0]
