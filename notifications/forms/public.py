"""The form of the page where customers say what they want to hear of."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Form


class PreferencesForm(Form):
    survey = BooleanField(
        _l("Short surveys"), description=_l("A few questions after you had to do with us, so that we can do better.")
    )
    marketing = BooleanField(_l("News and offers"), description=_l("Only if you like. You can stop them at any time."))
