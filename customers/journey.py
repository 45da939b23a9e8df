"""The stages of the journey: added, renamed, put in order, and archived once no touchpoint in use stands on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from core import events
from core.db import constraint_of, db
from core.errors import Conflict, NotFound
from customers.models import Stage, Touchpoint
from customers.places import key_of


class StageInUse(Conflict):
    code = "stage-in-use"

    def sentence(self) -> str:
        return _("Touchpoints stand on this stage. Move them to another one first.")


class NameTaken(Conflict):
    code = "stage-name-taken"

    def sentence(self) -> str:
        return _("Another stage has this name already. Choose a different one.")


def stages(*, locked: bool = False) -> list[Stage]:
    """Return the stages in use, in their order; `locked` keeps others from changing it meanwhile."""
    query = select(Stage).where(Stage.archived_at.is_(None)).order_by(Stage.position, Stage.id)
    query = query.with_for_update() if locked else query
    return list(db.session.scalars(query, execution_options={"populate_existing": locked}))


def archived() -> Sequence[Stage]:
    return db.session.scalars(select(Stage).where(Stage.archived_at.is_not(None)).order_by(Stage.name)).all()


def touchpoints_in_use() -> dict[int, int]:
    """Return how many touchpoints in use stand on each stage, by its id."""
    count = func.count().label("touchpoints")
    query = select(Touchpoint.stage_id, count).where(Touchpoint.archived_at.is_(None)).group_by(Touchpoint.stage_id)
    return {row.stage_id: row.touchpoints for row in db.session.execute(query)}


def add(name: str, *, by: str, now: datetime) -> Stage:
    """Add a stage at the end. Raises NameTaken."""
    known = stages(locked=True)
    _refuse_taken(name, known)
    stage = Stage(key=_free_key(name), name=name, position=len(known) + 1)
    try:
        with db.session.begin_nested():
            db.session.add(stage)
    except IntegrityError as error:  # the first stages of an empty journey, added twice at once, lock no row
        if constraint_of(error) == "uq_stage_key":
            raise NameTaken(field="name") from error
        raise
    _number([*known, stage])
    events.record("stage.added", at=now, actor=by, stage=stage.id)
    return stage


def rename(stage: Stage, name: str, *, by: str, now: datetime) -> None:
    """Give a stage another name; its key, by which connected systems know it, stays. Raises NameTaken."""
    if stage.name == name:
        return
    _refuse_taken(name, [other for other in stages(locked=True) if other.id != stage.id])
    stage.name = name
    db.session.flush()
    events.record("stage.renamed", at=now, actor=by, stage=stage.id)


def move(stage: Stage, places: int, *, by: str, now: datetime) -> None:
    """Move a stage towards the beginning (negative) or the end of the journey."""
    known = stages(locked=True)
    if stage not in known:
        raise NotFound
    here = known.index(stage)
    there = min(max(here + places, 0), len(known) - 1)
    known.insert(there, known.pop(here))
    _number(known)
    if here != there:
        events.record("stage.moved", at=now, actor=by, stage=stage.id, position=there + 1)


def archive(stage: Stage, *, by: str, now: datetime) -> None:
    """Take a stage out of the journey. Raises StageInUse."""
    known = stages(locked=True)
    if stage not in known:
        return
    if touchpoints_in_use().get(stage.id):
        raise StageInUse
    stage.archived_at = now
    _number([each for each in known if each is not stage])
    events.record("stage.archived", at=now, actor=by, stage=stage.id)


def take_back(stage: Stage, *, by: str, now: datetime) -> None:
    """Put an archived stage at the end of the journey again."""
    known = stages(locked=True)
    if stage in known:
        return
    _refuse_taken(stage.name, known)
    stage.archived_at = None
    _number([*known, stage])
    events.record("stage.taken_back", at=now, actor=by, stage=stage.id)


def by_key(key: str) -> Stage:
    """Return a stage, archived or not, or raise NotFound."""
    stage = db.session.scalar(select(Stage).where(Stage.key == key)) if "\0" not in key else None
    if stage is None:
        raise NotFound
    return stage


def _number(known: Sequence[Stage]) -> None:
    for position, stage in enumerate(known, 1):
        stage.position = position
    db.session.flush()


def _refuse_taken(name: str, known: Sequence[Stage]) -> None:
    if any(stage.name.casefold() == name.casefold() for stage in known):
        raise NameTaken(field="name")


def _free_key(name: str) -> str:
    """Return a key made of the name, with a number behind it if there is one like it."""
    stem = key_of(name)[:40] or "stage"
    taken = set(db.session.scalars(select(Stage.key).where(Stage.key.startswith(stem, autoescape=True))))
    return next(key for key in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if key not in taken)
