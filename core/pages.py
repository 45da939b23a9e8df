"""What every template can use beside core.i18n: masked addresses, what ties a field to its error, the style guide."""

from __future__ import annotations

from flask import Flask

from core import design, fields, masking


def init_app(app: Flask) -> None:
    """Give templates their filters and globals, and register /design, which only the demo and tests answer."""
    fields.init_app(app)
    app.jinja_env.filters.update(mask_email=masking.mask_email, mask_phone=masking.mask_phone)
    app.register_blueprint(design.blueprint)
