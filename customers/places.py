"""Where imported rows belong: the brand and the touchpoints they name, made where they are lacking."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, text

from core.db import db
from customers.models import Brand, Calendar, Stage, Touchpoint
from customers.tables import Unreadable

MOST_NEW: Final = 200
"""A mapping that takes the touchpoint from a wrong column would make one for every row."""

LONGEST: Final = 80
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri")
_STAGE: Final = ("use", "Use", 4)


class UnknownBrand(Unreadable):
    """No brand has the key that was asked for."""


class TooManyTouchpoints(Unreadable):
    """The rows name more new touchpoints than anybody could mean."""


@dataclass
class Places:
    """The brand of an import and the touchpoints by the names in its rows; `made` tells what was made or would be.

    `asked` is the brand's key if somebody named it: then touchpoints of other brands are refused. Otherwise it is the
    first brand, and an installation without any gets one named "Import", whose days are those of `zone`.
    """

    asked: str | None = None
    zone: str = "UTC"
    made: list[str] = field(default_factory=list)
    brand: Brand | None = None
    _known: dict[str, Touchpoint | None] = field(default_factory=dict)

    def find(self) -> Places:
        """Look the brand up; raises UnknownBrand with the keys that there are."""
        brands = list(db.session.scalars(select(Brand).order_by(Brand.id)))
        chosen = [brand for brand in brands if self.asked in (None, brand.key)]
        if self.asked is not None and not chosen:
            offered = ", ".join(brand.key for brand in brands) or "none yet"
            raise UnknownBrand(f"There is no brand {self.asked!r}; there are: {offered}.")
        self.brand = chosen[0] if chosen else None
        return self

    def learn(self, names: Iterable[str]) -> None:
        """Look up the touchpoints of these names, archived ones too, in one statement for all that are new."""
        keys = {name: key_of(name) for name in set(names) - self._known.keys()}
        if not keys:
            return
        wanted = Touchpoint.key.in_({*keys, *keys.values()})
        found = {each.key: each for each in db.session.scalars(select(Touchpoint).where(wanted))}
        self._known |= {name: found.get(name) or found.get(key) for name, key in keys.items()}

    def touchpoint(self, name: str | None) -> Touchpoint | None:
        """Return the touchpoint of a name that was learnt, None if there is none (yet)."""
        return self._known.get(name) if name else None

    def brand_id(self, name: str | None) -> int | None:
        """Return the brand that a row at this touchpoint belongs to."""
        touchpoint = self.touchpoint(name)
        return touchpoint.brand_id if touchpoint else self.brand.id if self.brand else None

    def fault(self, name: str) -> str | None:
        """Say why rows cannot go to this touchpoint, or None."""
        if len(name) > LONGEST or not key_of(name):
            return f"A touchpoint has a name of letters and digits, up to {LONGEST} characters."
        touchpoint = self.touchpoint(name)
        if self.asked and self.brand and touchpoint and touchpoint.brand_id != self.brand.id:
            return f"The touchpoint {touchpoint.key!r} belongs to another brand than {self.asked!r}."
        return None

    def foresee(self, names: Collection[str]) -> None:
        """Note what `make` would make."""
        if self.brand is None:
            self._note("brand import")
        for name in sorted(names):
            if self.touchpoint(name) is None:
                self._note(f"touchpoint {key_of(name)}")

    def make(self, names: Collection[str]) -> None:
        """Make the brand and the touchpoints of learnt names that are lacking; of two imports at once, one makes them.

        Raises TooManyTouchpoints.
        """
        lacking = {name for name in names if self.touchpoint(name) is None}
        if self.brand is not None and not lacking:
            return
        one_at_a_time()
        if self.brand is None:
            self.find()
        for name in lacking:
            self._known.pop(name, None)
        self.learn(lacking)
        self.foresee(names)
        self.brand = self.brand or _new_brand(self.zone)
        for name in sorted(lacking):
            self._known[name] = self.touchpoint(name) or self._of_same_key(name) or _new_touchpoint(name, self.brand)

    def _of_same_key(self, name: str) -> Touchpoint | None:
        """Return the touchpoint made a moment ago for another way to write this name."""
        return next((each for each in self._known.values() if each and each.key == key_of(name)), None)

    def _note(self, what: str) -> None:
        if what not in self.made:
            self.made.append(what)
        if sum(each.startswith("touchpoint ") for each in self.made) > MOST_NEW:
            raise TooManyTouchpoints(
                f"The rows name more than {MOST_NEW} touchpoints that are not here: is their column the right one?"
            )


def key_of(name: str) -> str:
    """Return a name as a key in addresses: "Call Centre" is call-centre."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFKC", name).casefold()).strip("-")


def one_at_a_time() -> None:
    """Let only one import at a time make what others refer to, until the transaction ends."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(7302, 0)"))


def _new_brand(zone: str) -> Brand:
    """Return the brand of an installation that has none; its sender is an address that no mail can reach."""
    week = {day: [["09:00", "17:00"]] for day in _DAYS}
    brand = Brand(
        key="import",
        name="Import",
        colour="#115e79",
        sender_name="Import",
        sender_address="import@import.invalid",
        zone=zone,
        currency="EUR",
        language="en",
        calendar=Calendar(name="Import", zone=zone, weekly=week),
    )
    db.session.add(brand)
    db.session.flush()
    return brand


def _new_touchpoint(name: str, brand: Brand) -> Touchpoint:
    first = (Stage.archived_at.is_not(None), Stage.key != _STAGE[0], Stage.position, Stage.id)
    stage = db.session.scalar(select(Stage).order_by(*first).limit(1))
    if stage is None:
        stage = Stage(key=_STAGE[0], name=_STAGE[1], position=_STAGE[2])
    title = name if name != key_of(name) else name.replace("-", " ").capitalize()
    touchpoint = Touchpoint(key=key_of(name), name=title, brand=brand, stage=stage, phrases={})
    db.session.add(touchpoint)
    db.session.flush()
    return touchpoint
