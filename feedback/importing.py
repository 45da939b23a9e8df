"""Imported complaints: each with its case as history left it, off the desk. Nothing is acknowledged, sent or timed."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text

from core.db import db, new_public_id
from core.events import Event
from core.inserting import among_texts, insert_many
from customers import importing
from customers.importing import Importer
from customers.records import ComplaintRecord, State
from feedback import cases
from feedback.actors import IMPORT
from feedback.cases import ImportedCase
from feedback.models import Case, CaseState, Complaint, Origin

SUMMARY: Final = 120
_JOIN: Final = text("""
    UPDATE complaint SET case_id = opened.id
    FROM unnest(CAST(:ids AS bigint[])) AS kept (id) JOIN "case" AS opened ON opened.reason = 'complaint:' || kept.id
    WHERE complaint.id = kept.id
""")


class ComplaintImporter(Importer[ComplaintRecord]):
    """Complaints of one brand, one for each key under the columns that the mapping makes it of."""

    def identity(self, record: ComplaintRecord) -> Hashable:
        return record.key

    def moments(self, record: ComplaintRecord) -> dict[str, datetime | None]:
        return {"received_at": record.received_at, "resolved_at": record.resolved_at}

    def known(self, records: Sequence[ComplaintRecord]) -> Collection[Hashable]:
        keys = {self._form_key(record): record.key for record in records}
        query = select(Complaint.form_key).where(Complaint.form_key == among_texts(list(keys)))
        return {keys[form_key] for form_key in db.session.scalars(query)}

    def foresee(self, records: Sequence[ComplaintRecord]) -> None:
        super().foresee(records)
        self.beside["cases"] += len(records)
        self.beside["reopened"] += sum(record.reopened for record in records)

    def keep(self, records: Sequence[ComplaintRecord], *, run_id: int, now: datetime) -> int:
        self.places.make({record.touchpoint for record in records if record.touchpoint})
        people = importing.customers_of(records, now=now)
        by_key = {self._form_key(record): (record, person) for record, person in zip(records, people, strict=True)}
        new = self._insert([record for record, _ in by_key.values()], run_id)
        kept = [(complaint_id, *by_key[form_key]) for form_key, complaint_id in new.items()]
        found = importing.interactions_of([record for _, record, _ in kept], self.places)
        opened = [
            self._case(complaint_id, record, person, interaction, run_id)
            for (complaint_id, record, person), interaction in zip(kept, found, strict=True)
        ]
        self.beside["cases"] += len(cases.open_many_imported(opened, now=now))
        self._join(list(new.values()), [f"complaint:{each}" for each, record, _ in kept if record.reopened])
        return len(new)

    def _insert(self, records: Sequence[ComplaintRecord], run_id: int) -> dict[str, int]:
        """Keep the complaints in one order for everybody; return the ids of the new ones by their keys."""
        rows = sorted((self._row(record, run_id) for record in records), key=lambda row: str(row["form_key"]))
        new = insert_many(Complaint, rows, unless="(form_key)", returning=("form_key", "id"))
        return {row.form_key: row.id for row in new}

    def _row(self, record: ComplaintRecord, run_id: int) -> dict[str, Any]:
        return {
            "public_id": new_public_id(),
            "brand_id": self.places.brand_id(record.touchpoint),
            "form_key": self._form_key(record),
            "reference": record.reference,
            "category": record.category,
            "received_at": record.received_at,
            "words": record.text,
            "language": self._language(record),
            "attributes": _attributes(record),
            "import_id": run_id,
        }

    def _case(
        self, complaint_id: int, record: ComplaintRecord, person: Any, interaction: Any, run_id: int
    ) -> ImportedCase:
        touchpoint = self.places.touchpoint(record.touchpoint)
        return ImportedCase(
            reason=f"complaint:{complaint_id}",
            origin=Origin.COMPLAINT,
            brand_id=self.places.brand_id(record.touchpoint) or 0,
            opened_at=record.received_at,
            language=self._language(record),
            customer_id=person.id if person else interaction.customer_id if interaction else None,
            touchpoint_id=touchpoint.id if touchpoint else None,
            interaction_id=interaction.id if interaction else None,
            summary=(record.category or record.product or record.text)[:SUMMARY],
            words=record.text,
            import_id=run_id,
            attributes=_history(record),
        )

    def _join(self, complaint_ids: Sequence[int], reopened: Sequence[str]) -> None:
        """Tell the complaints their cases, and the log which cases were opened again: two statements, or three."""
        db.session.execute(_JOIN, {"ids": list(complaint_ids)})
        self.beside["reopened"] += len(reopened)
        if not reopened:
            return
        again = db.session.execute(
            select(Case.id, Case.customer_id, Case.opened_at).where(Case.reason == among_texts(list(reopened)))
        )
        shared = {"kind": "case.reopened", "version": 1, "actor": IMPORT, "data": {"because": "not_fixed"}}
        insert_many(
            Event, [shared | {"at": row.opened_at, "customer_id": row.customer_id, "case_id": row.id} for row in again]
        )

    def _language(self, record: ComplaintRecord) -> str:
        return record.language or (self.places.brand.language if self.places.brand else "en")

    def _form_key(self, record: ComplaintRecord) -> str:
        """Return what makes a complaint one, in any file: the brand, what the key is made of, and the key."""
        parts = ",".join("+".join(source.columns) or str(source.constant) for source in self.mapping.key)
        brand = self.places.brand.key if self.places.brand else "import"
        return f"import:{brand}:{parts}:{record.key}"


def _attributes(record: ComplaintRecord) -> dict[str, str]:
    told = {"product": record.product, "channel": record.channel}
    return {**record.attributes, **{name: value for name, value in told.items() if value}}


def _history(record: ComplaintRecord) -> dict[str, Any]:
    """Return a case's columns for where its complaint stands; one that was disputed is open again.

    A moment of resolution that nobody wrote down stays unknown: it would count as a time to resolution of zero.
    """
    if record.reopened:
        return {"state": CaseState.RECOVERY, "reopened": 1, "resolved_at": None}
    if record.state is State.RESOLVED:
        return {"state": CaseState.RESOLVED, "reopened": 0, "resolved_at": record.resolved_at}
    return {"state": CaseState.OPEN, "reopened": 0, "resolved_at": None}
