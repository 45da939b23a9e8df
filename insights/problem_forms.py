"""The forms of a problem: what it is, what was changed, why it is closed. The rules: feedback.problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import DateField, RadioField, SelectField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length

from accounts.forms import name_field
from accounts.models import Staff
from core.editing import EditForm
from core.fields import sensible
from customers.models import Touchpoint
from feedback.forms.staff import ActForm, plain
from feedback.models import ClosedBecause, Problem, RootCause
from feedback.problems import ProblemData
from feedback.trees import Branch

LONGEST = 4000
REASONS = {
    ClosedBecause.VERIFIED: _l("It happens less since we changed something"),
    ClosedBecause.ACCEPTED: _l("It stays as it is; we decided so"),
    ClosedBecause.NONE: _l("It was none"),
}
_too_long = Length(max=LONGEST, message=_l("Use at most 4,000 characters."))


class ProblemForm(EditForm, ActForm):
    title = name_field(
        _l("What goes wrong"),
        _l("Say in a line what goes wrong, for example: tents arrive damaged."),
        _l("Without names of customers: agents read it on the cases of others."),
        most=120,
    )
    touchpoint = SelectField(_l("Where"))
    cause = SelectField(
        _l("Root cause"),
        description=_l("Cases that were resolved with it, or with one below it, are counted."),
    )
    owner = SelectField(_l("Who is on it"))
    known = TextAreaField(
        _l("What is known"),
        [_too_long],
        filters=[plain],
        description=_l("About the matter, without names of customers: this is kept when a customer is erased."),
    )
    tell = TextAreaField(
        _l("What to tell customers meanwhile"),
        [_too_long],
        filters=[plain],
        description=_l("Agents read it on the open cases of this touchpoint, or with this root cause."),
    )

    touchpoints: Sequence[Touchpoint] = ()
    causes: Sequence[Branch] = ()
    people: Sequence[Staff] = ()

    def offer(
        self, touchpoints: Sequence[Touchpoint], causes: Sequence[Branch], people: Sequence[Staff]
    ) -> ProblemForm:
        """Fill the choices: of places, causes with those above them, and people."""
        self.touchpoints, self.causes, self.people = touchpoints, causes, people
        self.touchpoint.choices = [
            SelectChoice("", _l("anywhere")),
            *(SelectChoice(each.key, each.name) for each in touchpoints),
        ]
        self.cause.choices = [
            SelectChoice("", _l("not known yet")),
            *(SelectChoice(each.node.public_id, each.full_name) for each in causes),
        ]
        self.owner.choices = [
            SelectChoice("", _l("nobody yet")),
            *(SelectChoice(each.public_id, each.name) for each in people),
        ]
        return self

    def data_of_problem(self) -> ProblemData:
        """Return what was typed; call it after `validate`."""
        causes = (each.node for each in self.causes if isinstance(each.node, RootCause))
        return ProblemData(
            title=self.title.data or "",
            touchpoint=next((each for each in self.touchpoints if each.key == self.touchpoint.data), None),
            cause=next((each for each in causes if each.public_id == self.cause.data), None),
            owner=next((each for each in self.people if each.public_id == self.owner.data), None),
            known=self.known.data or "",
            tell=self.tell.data or "",
        )


def values_of(problem: Problem) -> Mapping[str, Any]:
    """Return a problem as its form has it, by field name."""
    return {
        "title": problem.title,
        "touchpoint": problem.touchpoint.key if problem.touchpoint else "",
        "cause": problem.root_cause.public_id if problem.root_cause else "",
        "owner": problem.owner.public_id if problem.owner else "",
        "known": problem.known,
        "tell": problem.tell,
    }


class ActionForm(ActForm):
    words = name_field(
        _l("What was changed"), _l("Say what was changed, for example: another courier for tents."), most=200
    )
    on = DateField(
        _l("From this day on"),
        [InputRequired(_l("Choose the first day on which it held.")), sensible],
        description=_l("The twelve weeks before it are compared with the four after it."),
    )


class ClosingForm(ActForm):
    because = RadioField(
        _l("Why"),
        [InputRequired(_l("Say why it is closed."))],
        choices=[SelectChoice(reason.value, words) for reason, words in REASONS.items()],
    )
