"""Signing in: Flask-Security with our pages, our mails, our log and our access rules; nothing of it registers anybody.

Sessions, remembered devices and links all name `Staff.fs_uniquifier`: whoever gets a new one is signed out everywhere.
"""

from __future__ import annotations

import base64
import hmac
from datetime import timedelta
from typing import Any, Final

import structlog
from flask import Flask, abort, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from flask_login.utils import _user_context_processor
from flask_security import (
    ChangePasswordForm,
    ForgotPasswordForm,
    LoginForm,
    MailUtil,
    ResetPasswordForm,
    Security,
    SQLAlchemyUserDatastore,
    Totp,
    TwoFactorRescueForm,
    TwoFactorSetupForm,
    password_changed,
    password_reset,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    user_failed_authn,
)
from flask_security.forms import TwoFactorVerifyCodeForm
from flask_security.recovery_codes import MfRecoveryForm
from flask_security.utils import check_and_get_token_status, validate_redirect_url
from itsdangerous import BadData, URLSafeTimedSerializer
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from wtforms import Field, RadioField
from wtforms.fields import SelectChoice

from accounts import letters
from accounts.models import Role, Staff
from core import access, clock, events, i18n, tokens, web_address
from core.config import Config, Environment
from core.db import db
from core.errors import Gone
from core.outbox import connection

WELCOME_WITHIN: Final = timedelta(days=3)
TOTP_STEP_S: Final = 30

log = structlog.get_logger(__name__)

PUBLIC: Final = (
    "login",
    "logout",
    "forgot_password",
    "reset_password",
    "two_factor_token_validation",
    "two_factor_rescue",
    "tf_select",
    "mf_recovery",
)
SIGNED_IN: Final = (
    "verify",
    "change_password",
    "two_factor_setup",
    "two_factor_setup_validate",
    "mf_recovery_codes",
)


def init_app(app: Flask) -> None:
    config: Config = app.extensions["config"]
    app.config.update(settings(config))
    security = Security(
        app,
        StaffStore(db, Staff, Role),
        login_form=SignInForm,
        forgot_password_form=ForgottenForm,
        reset_password_form=ResetForm,
        change_password_form=NewPasswordForm,
        two_factor_setup_form=SecondFactorForm,
        two_factor_rescue_form=RescueForm,
        two_factor_verify_code_form=CodeForm,
        mf_recovery_form=RecoveryForm,
        mail_util_cls=OutboxMail,
        totp_cls=Codes,
    )
    security.want_json(lambda _request: False)  # pages only; programs use API keys
    security.login_manager.request_loader(lambda _request: None)  # no tokens in headers or addresses
    _leave_public_pages_alone(app, security)
    app.view_functions["security.two_factor_rescue"] = no_rescue
    _let_a_code_be_typed_again(app, security)
    for endpoint in PUBLIC:
        access.declare(f"security.{endpoint}", access.Rule(access.Kind.PUBLIC))
    for endpoint in SIGNED_IN:
        access.declare(f"security.{endpoint}", access.Rule(access.Kind.SIGNED_IN))
    _listen(app)
    app.before_request(take_exact_links_alone)
    app.before_request(take_readable_addresses_alone)
    app.before_request(speak_their_language)


def _leave_public_pages_alone(app: Flask, security: Security) -> None:
    """Load the reader when a page asks for them; the libraries would for every page, also those that use no session."""
    security.principal.identity_loaders.clear()
    app.template_context_processors[None].remove(_user_context_processor)
    app.jinja_env.globals["current_user"] = current_user


def settings(config: Config) -> dict[str, Any]:
    cookie = {"httponly": True, "secure": config.is_https, "samesite": "Lax"}
    return {
        "REMEMBER_COOKIE_NAME": "__Host-amends-remember" if config.is_https else "amends-remember",
        "REMEMBER_COOKIE_DURATION": timedelta(days=14),
        "REMEMBER_COOKIE_SECURE": config.is_https,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        **{f"SECURITY_{name}": value for name, value in (_features(config) | PAGES | WORDS).items()},
        "SECURITY_TWO_FACTOR_VALIDITY_COOKIE": cookie,
    }


def _features(config: Config) -> dict[str, Any]:
    secrets = {str(version): _derived(key, "second factor").hex() for version, key in config.link_keys}
    fernet_keys = [base64.urlsafe_b64encode(_derived(key, "recovery codes")) for _version, key in config.link_keys]
    return {
        "RECOVERABLE": True,
        "CHANGEABLE": True,
        "TWO_FACTOR": True,
        "MULTI_FACTOR_RECOVERY_CODES": True,
        "RETURN_GENERIC_RESPONSES": True,
        "EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},  # no page waits for a name server
        "DATETIME_FACTORY": clock.now,
        "API_ENABLED_METHODS": ["session"],
        "STATIC_FOLDER": None,
        "CLI_USERS_NAME": "",
        "CLI_ROLES_NAME": "",
        "PASSWORD_HASH": "argon2",
        "PASSWORD_SCHEMES": ["argon2"],
        "PASSWORD_SINGLE_HASH": {"argon2"},
        "PASSWORD_HASH_PASSLIB_OPTIONS": _cost(config),
        # What reset links carry of the password's own salted hash. The library's usual scheme takes a second of work,
        # for known addresses alone: a stranger could tell who has an account, and keep the machine busy.
        "HASHING_SCHEMES": ["hex_sha256"],
        "PASSWORD_LENGTH_MIN": 10,
        "RESET_PASSWORD_WITHIN": letters.RESET_WITHIN,
        "SEND_PASSWORD_CHANGE_EMAIL": False,
        "SEND_PASSWORD_RESET_NOTICE_EMAIL": False,
        "EMAIL_PLAINTEXT": False,  # OutboxMail renders nothing here: messages have their own templates
        "EMAIL_HTML": False,
        "FRESHNESS": timedelta(minutes=30),
        "FRESHNESS_GRACE_PERIOD": timedelta(minutes=10),
        "TOTP_SECRETS": secrets,
        "TOTP_ISSUER": f"Amends {config.organisation}".removesuffix(" Amends"),
        "TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "TWO_FACTOR_AUTHENTICATOR_VALIDITY": TOTP_STEP_S,  # the code before and the one after are taken too
        "TWO_FACTOR_RESCUE_EMAIL": False,
        "MULTI_FACTOR_RECOVERY_CODES_N": 8,
        "MULTI_FACTOR_RECOVERY_CODES_KEYS": fernet_keys,
    }


def _derived(key: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose; link keys are versioned, so these can be replaced one after the other too."""
    return hmac.digest(key.encode(), purpose.encode(), "sha256")


def _cost(config: Config) -> dict[str, int]:
    """RFC 9106's second recommendation; tests sign in often and take the least."""
    if config.environment is Environment.TEST:
        return {"argon2__time_cost": 1, "argon2__memory_cost": 64, "argon2__parallelism": 1}
    return {"argon2__time_cost": 3, "argon2__memory_cost": 64 * 1024, "argon2__parallelism": 4}


PAGES: Final = {
    "LOGIN_USER_TEMPLATE": "accounts/login.html",
    "FORGOT_PASSWORD_TEMPLATE": "accounts/forgot_password.html",
    "RESET_PASSWORD_TEMPLATE": "accounts/reset_password.html",
    "CHANGE_PASSWORD_TEMPLATE": "accounts/change_password.html",
    "VERIFY_TEMPLATE": "accounts/verify.html",
    "TWO_FACTOR_VERIFY_CODE_TEMPLATE": "accounts/code.html",
    "TWO_FACTOR_SETUP_TEMPLATE": "accounts/second_factor.html",
    "TWO_FACTOR_SELECT_TEMPLATE": "accounts/select.html",
    "MULTI_FACTOR_RECOVERY_TEMPLATE": "accounts/recovery.html",
    "MULTI_FACTOR_RECOVERY_CODES_TEMPLATE": "accounts/recovery_codes.html",
    "POST_LOGOUT_VIEW": "/login",
    "POST_CHANGE_VIEW": "/profile",
    "POST_VERIFY_VIEW": "/profile",
    "TWO_FACTOR_POST_SETUP_VIEW": "/profile",
}

WORDS: Final = {
    "MSG_GENERIC_AUTHN_FAILED": ("That didn’t fit together. Please check the address and the password.", "error"),
    "MSG_PASSWORD_RESET_REQUEST": (
        "If somebody here has this address, a mail is on its way. Its link works for one hour.",
        "info",
    ),
    "MSG_PASSWORD_RESET_EXPIRED": ("This link has expired. Ask for a new one here.", "error"),
    "MSG_INVALID_RESET_PASSWORD_TOKEN": ("This link no longer works. Ask for a new one here.", "error"),
    "MSG_PASSWORD_RESET_NO_LOGIN": ("Your new password is set. Sign in with it.", "success"),
    "MSG_PASSWORD_CHANGE": ("Your password is changed. Every other device is signed out.", "success"),
    "MSG_FORGOT_PASSWORD": ("Forgotten your password?", "info"),
    "MSG_PASSWORD_INVALID_LENGTH": ("Use at least %(length)s characters; a few words in a row are fine.", "error"),
    "MSG_RETYPE_PASSWORD_MISMATCH": ("The two passwords differ. Type the same one twice.", "error"),
    "MSG_INVALID_PASSWORD": ("This isn’t your current password.", "error"),
    "MSG_PASSWORD_IS_THE_SAME": ("This is the password you already have. Choose another one.", "error"),
    "MSG_REAUTHENTICATION_REQUIRED": ("Please confirm that it’s you; then you go on where you were.", "info"),
    "MSG_REAUTHENTICATION_SUCCESSFUL": ("Thank you.", "success"),
    "MSG_TWO_FACTOR_INVALID_TOKEN": (
        "This code doesn’t fit. Codes change every 30 seconds: try the next one.",
        "error",
    ),
    "MSG_TWO_FACTOR_LOGIN_SUCCESSFUL": ("Welcome back.", "success"),
    "MSG_TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": (
        "Your second factor is on. Make recovery codes now, for the day the phone is lost.",
        "success",
    ),
    "MSG_TWO_FACTOR_DISABLED": ("Your second factor is off.", "success"),
    "MSG_TWO_FACTOR_PERMISSION_DENIED": ("Please sign in first.", "error"),
    "MSG_INVALID_RECOVERY_CODE": ("This code doesn’t fit, or was used before.", "error"),
    "MSG_NO_RECOVERY_CODES_SETUP": ("There are no recovery codes yet.", "info"),
}


class StaffStore(SQLAlchemyUserDatastore):
    """Loads somebody with roles and team in one statement: every staff page needs all three."""

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> Staff | None:
        name, value = kwargs.popitem()
        column = getattr(Staff, name)
        here = func.lower(column) == str(value).lower() if case_insensitive else column == value
        statement = select(Staff).options(joinedload(Staff.roles), joinedload(Staff.team)).where(here)
        return db.session.scalars(statement).unique().one_or_none()


class SignInForm(LoginForm):
    """Goes on to the page that was asked for, if it is one of ours; any other address is forgotten."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email.label.text = _("Work e-mail address")
        self.remember.label.text = _("Stay signed in on this device")

    def validate_next(self, field: Field) -> None:
        if field.data and not validate_redirect_url(field.data):
            field.data = ""


class ForgottenForm(ForgotPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email.label.text = _("Work e-mail address")


class NewPasswordForm(ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.label.text = _("Current password")
        self.new_password.label.text = _("New password")
        self.new_password_confirm.label.text = _("The same once more")


class ResetForm(ResetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.label.text = _("New password")
        self.password_confirm.label.text = _("The same once more")


class SecondFactorForm(TwoFactorSetupForm):
    """The library's form with choices as wtforms wants them."""

    setup = RadioField(choices=[SelectChoice("disable"), SelectChoice("authenticator")], validate_choice=False)


class CodeForm(TwoFactorVerifyCodeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.code.label.text = _("Code from your app")


class RecoveryForm(MfRecoveryForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.code.label.text = _("Recovery code")


class RescueForm(TwoFactorRescueForm):
    help_setup = RadioField(choices=[SelectChoice("help")])


def no_rescue() -> ResponseReturnValue:
    """Stand in for the library's rescue by mail: a mailbox would undo the second factor. There are recovery codes."""
    abort(404)


def _let_a_code_be_typed_again(app: Flask, security: Security) -> None:
    """Show the same key once more after a code that did not fit; the library begins anew with another key to scan."""
    validate = app.view_functions["security.two_factor_setup_validate"]

    def validate_or_show(token: str) -> ResponseReturnValue:
        answer: Any = validate(token=token)
        if getattr(answer, "location", None) != url_for("security.two_factor_setup"):
            return answer
        expired, invalid, state = check_and_get_token_status(
            token, "tf_setup", current_app.config["SECURITY_TWO_FACTOR_SETUP_WITHIN"]
        )
        if expired or invalid:
            return answer
        key = security.totp_factory.fetch_setup_values(state["totp_secret"], current_user)
        return render_template(
            "accounts/second_factor.html",
            two_factor_verify_code_form=CodeForm(formdata=None),
            chosen_method="authenticator",
            changing=True,
            state_token=token,
            authr_qrcode=key["image"],
            authr_key=key["key"],
        )

    app.view_functions["security.two_factor_setup_validate"] = validate_or_show


class Codes(Totp):
    """Takes each code of an authenticator once. While Redis is away a code works for its 90 seconds."""

    def get_last_counter(self, user: Any) -> int | None:
        try:
            counter = connection().get(f"totp:{user.id}")
        except RedisError:
            return None
        return int(counter) if counter else None

    def set_last_counter(self, user: Any, tmatch: Any) -> None:
        try:
            connection().set(f"totp:{user.id}", tmatch.counter, ex=5 * TOTP_STEP_S)
        except RedisError:
            log.warning("totp_counter_not_kept")


class OutboxMail(MailUtil):
    """Turns Flask-Security's one mail into a message of ours; that something was changed, we tell ourselves."""

    def send_mail(self, template: str, *args: Any, **values: Any) -> None:
        if template.endswith("/reset_instructions"):
            path = url_for("security.reset_password", token=values["reset_token"])
            letters.send_reset(values["user"], path=path, now=clock.now())
            db.session.commit()  # Flask-Security's view does not


class LinkUsed(Gone):
    code = "link-used"

    def sentence(self) -> str:
        return _("This link was used already, or has expired. Ask whoever sent it for a new one.")


def welcome_link(staff: Staff) -> str:
    """Return the one-time address under which a new member of staff chooses a password, valid for three days."""
    token = _welcome_signer().dumps(staff.fs_uniquifier)
    return f"{_config().base_url}/welcome/{token}"


def welcomed(token: str) -> Staff:
    """Return whose welcome link this is; raises LinkUsed when it was used, has expired or is not ours."""
    if not tokens.is_exact(token):
        raise LinkUsed
    try:
        uniquifier = _welcome_signer().loads(token, max_age=int(WELCOME_WITHIN.total_seconds()))
    except BadData:
        raise LinkUsed from None
    staff = StaffStore(db, Staff, Role).find_user(fs_uniquifier=uniquifier)
    if staff is None or not staff.active:
        raise LinkUsed
    return staff


def _welcome_signer() -> URLSafeTimedSerializer:
    config = _config()
    return URLSafeTimedSerializer([*reversed(config.previous_secret_keys), config.secret_key], salt="welcome")


def take_exact_links_alone() -> None:
    """Refuse a reset link that is not written as we wrote it; the library would read past the difference."""
    if request.endpoint == "security.reset_password" and not tokens.is_exact((request.view_args or {})["token"]):
        abort(404)


def take_readable_addresses_alone() -> None:
    """Refuse a `next` that is no address at all, such as http://[0]: the library would stumble over it."""
    if request.blueprint != "security":
        return
    own = web_address.parts_of(request.host_url)  # which the library compares with, port and all
    if not web_address.leads_somewhere(own) or not all(map(_is_readable, request.values.getlist("next"))):
        abort(400)


def _is_readable(address: str) -> bool:
    as_browsers_read_it = address.replace("\\", "/")
    return web_address.parts_of(address) is not None and web_address.parts_of(as_browsers_read_it) is not None


def speak_their_language() -> None:
    """Show staff pages in the reader's language and zone; pages for customers follow their own rules."""
    rule = access.rule_for(current_app, request.endpoint or "")
    kinds = {access.Kind.NEEDS, access.Kind.SIGNED_IN, access.Kind.MAILBOX}
    if rule is not None and rule.kind in kinds and current_user.is_authenticated:
        i18n.speak(current_user.language, zone=current_user.zone)


def _listen(app: Flask) -> None:
    user_authenticated.connect(_signed_in, app)
    user_failed_authn.connect(_failed, app)
    password_reset.connect(_password_set, app)
    password_changed.connect(_password_set, app)
    tf_profile_changed.connect(_second_factor_set, app)
    tf_disabled.connect(_second_factor_removed, app)


def _signed_in(_app: Flask, *, user: Staff, authn_via: list[str] | None = None, **_more: Any) -> None:
    now = clock.now()
    user.last_login_at, user.current_login_at = user.current_login_at or now, now
    user.login_count = (user.login_count or 0) + 1
    events.record("staff.signed_in", at=now, actor=events.staff_actor(user.id), staff=user.id)


def _failed(_app: Flask, *, user: Staff, auth_type: str, **_more: Any) -> None:
    log.warning("sign_in_failed", staff=user.id, by=auth_type)


def _password_set(_app: Flask, *, user: Staff, **_more: Any) -> None:
    _record_own("staff.password_set", user)
    letters.tell_of_change(user, "password", now=clock.now())


def _second_factor_set(_app: Flask, *, user: Staff, **_more: Any) -> None:
    _record_own("staff.second_factor_set", user)
    letters.tell_of_change(user, "second_factor", now=clock.now())


def _second_factor_removed(_app: Flask, *, user: Staff, **_more: Any) -> None:
    _record_own("staff.second_factor_removed", user)
    letters.tell_of_change(user, "no_second_factor", now=clock.now())


def _record_own(kind: str, staff: Staff) -> None:
    events.record(kind, at=clock.now(), actor=events.staff_actor(staff.id), staff=staff.id)


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config
