"""Every message that we send: what it is for, which values it needs, and its template's version.

A template file is templates/notifications/<name>.<version>.html and .txt. To change a wording that waits in queued
messages, add the next version's files and raise `version`; the old files stay as long as messages name them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l


class Purpose(StrEnum):
    """Why a message is sent decides what stops it."""

    SERVICE = "service"  # about the customer's own matter: an unsubscribe from surveys or marketing does not stop it
    SURVEY = "survey"
    MARKETING = "marketing"
    STAFF = "staff"  # to a member of staff, about their account: nothing that a customer does stops it


@dataclass(frozen=True)
class Kind:
    """One message.

    fields: values that every such message has. optional: values that add their part to the template if they are there.
    paragraphs: fields that may hold several lines. choices: values that pick a wording; the first is the default.
    """

    name: str
    title: LazyString
    purpose: Purpose
    fields: frozenset[str]
    optional: frozenset[str] = frozenset()
    paragraphs: frozenset[str] = frozenset()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: int = 1

    @property
    def can_be_unsubscribed(self) -> bool:
        """Whether it carries List-Unsubscribe, and is stopped by a suppression of its purpose's scope."""
        return self.purpose in (Purpose.SURVEY, Purpose.MARKETING)

    @property
    def template(self) -> str:
        return self.template_of(self.version)

    def template_of(self, version: int) -> str:
        """The template's path without its ending."""
        return f"notifications/{self.name}.{version}"

    def is_stopped_by(self, scope: str) -> bool:
        """Whether a suppression of this scope (all, survey, marketing) stops it."""
        if self.purpose is Purpose.STAFF:
            return False
        return scope == "all" or (self.can_be_unsubscribed and scope == self.purpose.value)


class BadValues(ValueError):
    """Values that do not fit their kind: a programming error of whoever posted the message."""


SCALES = ("0-10", "1-5", "1-7")


def _kind(
    name: str,
    title: LazyString,
    purpose: Purpose,
    fields: str,
    optional: str = "",
    paragraphs: str = "",
    **choices: tuple[str, ...],
) -> Kind:
    return Kind(
        name=name,
        title=title,
        purpose=purpose,
        fields=frozenset(fields.split()),
        optional=frozenset(optional.split()),
        paragraphs=frozenset(paragraphs.split()),
        choices=choices,
    )


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind(
            "invitation",
            _l("Invitation to a survey"),
            Purpose.SURVEY,
            "question low_label high_label survey_url unsubscribe_url occasion occurred_on quarantine_days",
            "name reward person_url",
            scale=SCALES,
        ),
        _kind(
            "outcome_check",
            _l("Outcome check after a case is resolved"),
            Purpose.SURVEY,
            "question low_label high_label survey_url unsubscribe_url number",
            "name case_url person_url",
            scale=SCALES,
        ),
        _kind(
            "case_opened",
            _l("Case opened"),
            Purpose.SERVICE,
            "number case_url",
            "name promise promise_detail valid_until person_url",
        ),
        _kind(
            "complaint_acknowledged",
            _l("Complaint acknowledged"),
            Purpose.SERVICE,
            "number received_on deadline case_url",
            "name promise promise_detail valid_until person_url",
        ),
        _kind(
            "case_reply",
            _l("Reply to a customer"),
            Purpose.SERVICE,
            "number agent_name reply case_url",
            "name topic agent_role promise promise_detail goodwill valid_until",
            "reply",
        ),
        _kind(
            "promise_made",
            _l("Promise made"),
            Purpose.SERVICE,
            "number agent_name promise case_url",
            "name agent_role promise_detail valid_until",
        ),
        _kind(
            "promise_changed",
            _l("Promise at another time"),
            Purpose.SERVICE,
            "number agent_name promise was case_url",
            "name agent_role promise_detail valid_until",
            because=("needs_time", "customer_asked", "third_party", "our_mistake"),
        ),
        _kind(
            "reward",
            _l("Reward"),
            Purpose.SERVICE,
            "reward conditions",
            "name code valid_until redeem_url number case_url",
            because=("answered", "goodwill"),
        ),
        _kind(
            "confirm_address",
            _l("Confirm an e-mail address"),
            Purpose.SERVICE,
            "confirm_url number",
            "valid_until",
        ),
        _kind(
            "staff_reset",
            _l("New password for a member of staff"),
            Purpose.STAFF,
            "reset_url",
            "name valid_until",
        ),
        _kind(
            "staff_changed",
            _l("A staff sign-in was changed"),
            Purpose.STAFF,
            "changed_at reset_url",
            "name",
            because=("password", "second_factor", "no_second_factor"),
        ),
    )
}

TO_STAFF: Final = frozenset(kind.name for kind in KINDS.values() if kind.purpose is Purpose.STAFF)

_URL = re.compile(r"https?://[^\s\"'<>\\^`{|}]{1,2000}")
_NAME = re.compile(r"[^\W\d_][\w'’.\- ]{0,59}")


def checked(kind: Kind, values: Mapping[str, object]) -> dict[str, str]:
    """Return what is to be stored with a message: text only, blanks left out, nothing the template doesn't know.

    Raises BadValues naming the field. Whoever posts a message calls this, so that a batch cannot fail on it later.
    """
    given = {name: str(value) for name, value in values.items() if value not in (None, "")}
    known = kind.fields | kind.optional | kind.choices.keys()
    if strange := given.keys() - known:
        raise BadValues(f"{kind.name} has no {', '.join(sorted(strange))}")
    if missing := kind.fields - given.keys():
        raise BadValues(f"{kind.name} needs {', '.join(sorted(missing))}")
    for name, value in given.items():
        if name.endswith("_url") and not _URL.fullmatch(value):
            raise BadValues(f"{kind.name}: {name} is not an address of a page")
        if name in kind.choices and value not in kind.choices[name]:
            raise BadValues(f"{kind.name}: {name} is none of {', '.join(kind.choices[name])}")
    return given


def parts_of(kind: Kind, values: Mapping[str, str]) -> frozenset[str]:
    """Which shape of the template these values need: the optional fields that are there, and `choice=value`.

    Messages of one kind, version, language, brand and shape go out in one batch.
    """
    chosen = {f"{name}={values.get(name) or options[0]}" for name, options in kind.choices.items()}
    return frozenset({name for name in kind.optional if values.get(name)} | chosen)


def greeting_name(name: str | None) -> str:
    """Return a name to greet with, or "" for what is none: no address or sales talk rides on our letterhead."""
    name = (name or "").strip()
    looks_like_a_link = bool(re.search(r"\.\w{2,}|www", name, re.IGNORECASE))
    return name if _NAME.fullmatch(name) and not looks_like_a_link else ""
