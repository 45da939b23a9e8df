"""The complaint form as staff fill it in while a customer is on the phone."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

from feedback.forms.complaint import TOO_LONG, ComplaintForm, one_line


class FiledForm(ComplaintForm, FlaskForm):
    """The same, filled in by staff while a customer is on the phone."""

    class Meta:
        csrf = False  # core.access has checked the page's one token before the view runs

    customer = StringField(
        _l("Customer"),
        filters=[one_line],
        validators=[Length(max=320)],
        description=_l("E-mail address or customer number. Empty: not on record."),
    )
    brand = SelectField(_l("Brand"))
    category = SelectField(_l("What it is about"))
    language = SelectField(_l("Language"))

    def _no_email(self) -> str:
        return _("We need their e-mail address for that, for example hanna@example.com")

    def offer(self, **choices: list[tuple[str, str]]) -> FiledForm:
        """Set the choices of brand, category and language."""
        for name, values in choices.items():
            self[name].choices = [SelectChoice(value, label) for value, label in values]
        self.via.choices = [
            SelectChoice("phone", _("By phone")),
            SelectChoice("email", _("By e-mail")),
            SelectChoice("sms", _("By text message")),
        ]
        self.via.validators = [InputRequired(_("Choose how to reach them"))]
        self.what.validators = [DataRequired(_("Write what happened. A sentence or two is enough")), *TOO_LONG]
        self.via.label.text, self.name.label.text = _("How to reach them"), _("Their name")
        self.email.label.text, self.at.label.text = _("Their e-mail address"), _("When suits them best")
        return self
