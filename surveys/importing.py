"""Imported responses: history that counts in every figure, with one case for each unhappy answer, off the desk.

Nothing follows them: no work is posted, so no message, reward or clock comes of an import.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Collection, Hashable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from core.db import db, new_public_id
from core.inserting import among_texts, insert_many
from customers import importing, profiles
from customers.importing import UNKNOWN_CHANNEL, Importer
from customers.mapping import Mapping
from customers.models import Brand
from customers.places import Places, one_at_a_time
from customers.profiles import Scored
from customers.records import Missing, ResponseRecord
from customers.scales import SCALES, Metric
from customers.tables import Unreadable
from feedback import cases
from feedback.cases import ImportedCase
from feedback.models import Origin
from surveys import definition, scoring, versions
from surveys.definition import BadDefinition, Definition
from surveys.models import Response, ResponseState, Survey

_TEXTS: Final[abc.Mapping[Metric, tuple[str, str, str]]] = {
    Metric.NPS: (
        "How likely are you to recommend {brand} to a friend or colleague?",
        "Not at all likely",
        "Extremely likely",
    ),
    Metric.CSAT: ("How satisfied are you with {brand}?", "Very dissatisfied", "Very satisfied"),
    Metric.CES: ("{brand} made it easy for me to handle my issue.", "Strongly disagree", "Strongly agree"),
}
"""The question, its lowest and its highest end, in the standard wording of each metric."""


class OtherSurvey(Unreadable):
    """The survey that the mapping names is here, and asks something else."""


class ResponseImporter(Importer[ResponseRecord]):
    """Responses to one survey, which is made and published if it is not here, one for each key of the mapping."""

    def __init__(self, mapping: Mapping, places: Places) -> None:
        super().__init__(mapping, places)
        self.survey: Survey | None = None
        self.version_id = 0
        self.asked: Definition | None = None

    def prepare(self) -> None:
        self.survey = db.session.scalar(select(Survey).where(Survey.key == self.mapping.survey))
        if self.survey is None:
            _parsed(self.mapping)
            return
        try:
            self.version_id = versions.current(self.survey.id).id
        except versions.NotPublished:
            raise OtherSurvey(f"The survey {self.survey.key!r} has no published version yet.") from None
        self.asked = versions.definition_of(self.version_id)
        self._check_question(self.asked)

    def _check_question(self, asked: Definition) -> None:
        wanted, main = self.mapping.metric, asked.main
        if main is None or main.metric != wanted:
            asks = f"asks for {main.metric}" if main else "has no scored question"
            raise OtherSurvey(f"The survey {asked.key!r} {asks}, and the mapping reads {wanted}.")
        if self.mapping.question not in (None, main.key):
            raise OtherSurvey(
                f"The scored question of the survey {asked.key!r} is {main.key!r},"
                f" and the mapping names {self.mapping.question!r}."
            )

    def identity(self, record: ResponseRecord) -> Hashable:
        return record.key

    def moments(self, record: ResponseRecord) -> dict[str, datetime | None]:
        return {"answered_at": record.answered_at}

    def known(self, records: Sequence[ResponseRecord]) -> Collection[Hashable]:
        if self.survey is None:
            return ()
        keys = [record.key for record in records]
        query = select(Response.import_key).where(Response.survey_id == self.survey.id)
        return set(db.session.scalars(query.where(Response.import_key == among_texts(keys))))

    def foresee(self, records: Sequence[ResponseRecord]) -> None:
        super().foresee(records)
        made = f"survey {self.mapping.survey}"
        if self.survey is None and made not in self.places.made:
            self.places.made.append(made)
        asked = self.asked or _parsed(self.mapping)
        self.beside["cases"] += sum(asked.opens_case(record.score) for record in records)
        self._count_unlinked(records, importing.interactions_of(records, self.places))

    def _count_unlinked(self, records: Sequence[ResponseRecord], found: Sequence[Any]) -> None:
        self.beside["without their interaction"] += sum(
            bool(record.reference) and interaction is None for record, interaction in zip(records, found, strict=True)
        )

    def keep(self, records: Sequence[ResponseRecord], *, run_id: int, now: datetime) -> int:
        self.places.make({record.touchpoint for record in records if record.touchpoint})
        asked = self._asked(now)
        people = importing.customers_of(records, now=now)
        found = importing.interactions_of(records, self.places)
        self._count_unlinked(records, found)
        rows = [
            self._row(record, asked, interaction, customer.id if customer else None, run_id, now)
            for record, interaction, customer in zip(records, found, people, strict=True)
        ]
        kept = _insert(rows)
        self._open_cases(kept, asked, run_id, now)
        profiles.update_many(_last_scores(kept))
        return len(kept)

    def _asked(self, now: datetime) -> Definition:
        """Return what the survey asks; of two imports at once, one makes it."""
        if self.asked is None:
            one_at_a_time()
            self.prepare()
        if self.asked is None:
            brand = self.places.brand
            assert brand is not None  # noqa: S101  # made with the places
            self.places.made.append(f"survey {self.mapping.survey}")
            self.survey = _make(self.mapping, brand, now)
            self.prepare()
        assert self.asked is not None  # noqa: S101
        return self.asked

    def _row(
        self,
        record: ResponseRecord,
        asked: Definition,
        interaction: Any,
        customer_id: int | None,
        run_id: int,
        now: datetime,
    ) -> dict[str, Any]:
        main, survey, brand = asked.main, self.survey, self.places.brand
        assert main and survey and brand  # noqa: S101, PT018
        touchpoint = self.places.touchpoint(record.touchpoint)
        return {
            "public_id": new_public_id(),
            "survey_id": survey.id,
            "version_id": self.version_id,
            "brand_id": touchpoint.brand_id if touchpoint else brand.id,
            "touchpoint_id": touchpoint.id if touchpoint else None,
            "interaction_id": interaction.id if interaction else None,
            "customer_id": customer_id or (interaction.customer_id if interaction else None),
            "channel": record.channel or UNKNOWN_CHANNEL,
            "language": record.language or brand.language,
            "state": str(ResponseState.COMPLETE),
            "metric": main.metric,
            "question": main.key,
            "score": record.score,
            "scale": main.scale,
            "scores": {},
            "why": [],
            "answers": _answers(record, main.key),
            "comment": record.comment,
            "answered_at": record.answered_at,
            "received_at": now,
            "import_id": run_id,
            "import_key": record.key,
            "attributes": _attributes(record),
        }

    def _open_cases(self, kept: Sequence[abc.Mapping[str, Any]], asked: Definition, run_id: int, now: datetime) -> None:
        unhappy = [_case(row, run_id) for row in kept if asked.opens_case(row["score"])]
        self.beside["cases"] += len(cases.open_many_imported(unhappy, now=now))


def _insert(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the rows in one order for everybody, so that no two imports lock each other out; return the new ones."""
    by_key = {row["import_key"]: row for row in rows}
    new = insert_many(
        Response,
        [by_key[key] for key in sorted(by_key)],
        unless="(survey_id, import_key) WHERE import_key IS NOT NULL",
        returning=("id", "import_key"),
    )
    return [{**by_key[row.import_key], "id": row.id} for row in new]


def _answers(record: ResponseRecord, question: str) -> dict[str, int | None]:
    """Return the coded answers: a blank one is kept as None, one that was not asked is not there."""
    not_asked = record.missing in (Missing.NOT_ASKED, Missing.NOT_IN_VERSION)
    return {} if not_asked else {question: record.score}


def _attributes(record: ResponseRecord) -> dict[str, str]:
    why = {"missing": str(record.missing)} if record.missing else {}
    return {**record.attributes, **why}


def _case(row: abc.Mapping[str, Any], run_id: int) -> ImportedCase:
    """Return an unhappy answer's case as history leaves it: nobody is known to have reached the customer."""
    return ImportedCase(
        reason=f"response:{row['id']}",
        origin=Origin.ANSWER,
        brand_id=row["brand_id"],
        opened_at=row["answered_at"],
        language=row["language"],
        customer_id=row["customer_id"],
        touchpoint_id=row["touchpoint_id"],
        interaction_id=row["interaction_id"],
        response_id=row["id"],
        survey_id=row["survey_id"],
        question=row["question"],
        metric=row["metric"],
        score=row["score"],
        words=row["comment"],
        import_id=run_id,
    )


def _last_scores(kept: Sequence[abc.Mapping[str, Any]]) -> list[Scored]:
    """Return each customer's last score among these; one that is newer elsewhere stays."""
    last: dict[int, abc.Mapping[str, Any]] = {}
    for row in kept:
        customer_id = row["customer_id"]
        if customer_id is None or row["score"] is None:
            continue
        if customer_id not in last or last[customer_id]["answered_at"] <= row["answered_at"]:
            last[customer_id] = row
    return [
        Scored(
            customer_id=customer_id,
            profile=str(scoring.profile(row["metric"], row["score"])),
            metric=str(row["metric"]),
            score=row["score"],
            at=row["answered_at"],
        )
        for customer_id, row in last.items()
    ]


# A survey that is not here yet


def _make(mapping: Mapping, brand: Brand, now: datetime) -> Survey:
    survey = versions.create(_definition(mapping), brand=brand, by="import", now=now)
    versions.publish(survey, by="import", now=now)
    return survey


def _parsed(mapping: Mapping) -> Definition:
    """Return what a new survey would ask; raises OtherSurvey if the mapping's key or question cannot be one."""
    try:
        return definition.parse(_definition(mapping))
    except BadDefinition as error:
        faults = "; ".join(f"{fault.where} {fault.words}" for fault in error.faults)
        raise OtherSurvey(f"No survey can be made of what the mapping names: {faults}.") from None


def _definition(mapping: Mapping) -> dict[str, Any]:
    """Return the smallest survey that asks for the mapping's metric; it opens cases for its negative scores."""
    metric = mapping.metric or Metric.NPS
    wording, low, high = _TEXTS[metric]
    key = str(mapping.survey)
    negative = [score for score in _scores(metric) if scoring.band(metric, score) is scoring.Band.NEGATIVE]
    question = {"key": mapping.question or str(metric), "kind": str(metric), "required": False, "text": {"en": wording}}
    return {
        "key": key,
        "name": key.replace("_", " ").replace("-", " ").strip().capitalize(),
        "languages": ["en"],
        "opens_case_at": negative[-1],
        "questions": [question | {"low": {"en": low}, "high": {"en": high}}],
    }


def _scores(metric: Metric) -> range:
    first, last = SCALES[metric]
    return range(first, last + 1)
