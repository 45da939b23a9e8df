"""Configuration: the environment read once into one frozen value; the application refuses to start on a bad one.

Every setting is a field of `Config` with its unit in the comment beside it. Any may be given as a file: `NAME_FILE`.
"""

from __future__ import annotations

import os
import pathlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from redis.connection import parse_url
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from core import web_address

MIN_SECRET_LENGTH: Final = 32
PREFIX: Final = "AMENDS_"
OF_THE_TOOLS: Final = (
    "AMENDS_PYTHON",
    "AMENDS_CHROMIUM",
    "AMENDS_TEST_",
)  # bin/*, tests; or so begun
ALIKE: Final = 0.66  # of 1: PROXY for PROXIES is as far as a name may be off to be taken for a misspelt one
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class Environment(StrEnum):
    PRODUCTION = "production"
    DEMO = "demo"
    TEST = "test"


class BadConfig(SystemExit):
    """The environment lacks a setting or holds a malformed one; the message names it and says what is expected."""


@dataclass(frozen=True)
class Config:
    environment: Environment
    secret_key: str = field(repr=False)  # signs sessions and links; 32 characters or more
    database_url: str = field(repr=False)  # postgresql+psycopg://…
    redis_url: str = field(repr=False)  # redis://… or unix://…
    base_url: str  # where customers reach this installation, without a trailing slash
    link_keys: tuple[tuple[int, str], ...] = field(
        repr=False
    )  # (version, key), newest first; old versions still verify
    # Kept for good: suppressions are hashed under the key of their day.
    previous_secret_keys: tuple[str, ...] = field(default=(), repr=False)
    sendgrid_api_key: str | None = field(default=None, repr=False)  # unset: mail goes to the local mailbox
    sendgrid_host: str = "https://api.sendgrid.com"
    sendgrid_webhook_key: str | None = None  # the vendor's public key, base64 DER; unset: its webhook is refused
    mail_timeout_s: float = 10.0  # seconds until an unanswered hand-over counts as uncertain
    trusted_hosts: tuple[str, ...] = ()  # host names this installation answers to; derived from base_url
    proxies: int = 0  # how many proxies in front set X-Forwarded-*; 0: the headers are ignored
    max_body_bytes: int = 25 * 1024 * 1024  # largest request body
    max_api_body_bytes: int = 4 * 1024 * 1024  # largest body of an API call
    link_days: int = 90  # days a customer's private link works after it was first sent
    message_days: int = 730  # days a message keeps its address and words; then only that it was sent
    outcome_delay_days: int | None = (
        None  # days from resolving until the customer is asked again; None: as the SLA policy says
    )
    var_dir: pathlib.Path = pathlib.Path("var")
    log_level: str = "info"
    organisation: str = "Amends"
    unknown: tuple[str, ...] = ()  # names in the environment that begin as ours do and are none of ours

    @property
    def is_demo(self) -> bool:
        return self.environment is Environment.DEMO

    @property
    def shows_mailbox(self) -> bool:
        """Whether mail stays here, to be read at /mailbox (demo and tests only)."""
        return self.environment is not Environment.PRODUCTION and self.sendgrid_api_key is None

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")


def from_environment(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration, or raise BadConfig naming the first setting that is missing, malformed or misspelt.

    With DATABASE_URL and REDIS_URL unset this is the demo: its own servers start, its secrets are kept under var/.
    """
    read = _Reader(environ)
    environment = read.one_of(
        "AMENDS_ENV",
        Environment,
        "production" if environ.get("DATABASE_URL") else "demo",
    )
    var_dir = pathlib.Path(read.text("AMENDS_VAR_DIR", "var")).absolute()
    database_url, redis_url = _servers(read, var_dir, environment)
    demo = environment is Environment.DEMO
    secret_key = read.secret("SECRET_KEY", default=_kept_secret(var_dir, "secret_key") if demo else None)
    base_url = read.url("AMENDS_BASE_URL", "http://127.0.0.1:5000" if demo else None)
    return Config(
        environment=environment,
        secret_key=secret_key,
        database_url=database_url,
        redis_url=redis_url,
        base_url=base_url,
        link_keys=_link_keys(given) if (given := read.text("AMENDS_LINK_KEYS", "")) else ((1, secret_key),),
        previous_secret_keys=tuple(key for key in read.text("SECRET_KEY_PREVIOUS", "").split(",") if key),
        sendgrid_api_key=read.text("SENDGRID_API_KEY", "") or None,
        sendgrid_host=read.url("SENDGRID_HOST", "https://api.sendgrid.com"),
        sendgrid_webhook_key=read.text("SENDGRID_WEBHOOK_KEY", "") or None,
        mail_timeout_s=read.number("AMENDS_MAIL_TIMEOUT_S", 10.0, low=0.1, high=120),
        trusted_hosts=_hosts(read.text("AMENDS_TRUSTED_HOSTS", ""), base_url),
        proxies=int(read.number("AMENDS_PROXIES", 0, low=0, high=5)),
        max_body_bytes=int(read.number("AMENDS_MAX_BODY_BYTES", 25 * 1024 * 1024, low=1024, high=2**31)),
        max_api_body_bytes=int(read.number("AMENDS_MAX_API_BODY_BYTES", 4 * 1024 * 1024, low=1024, high=2**31)),
        link_days=int(read.number("AMENDS_LINK_DAYS", 90, low=1, high=730)),
        message_days=int(read.number("AMENDS_MESSAGE_DAYS", 730, low=1, high=3653)),
        outcome_delay_days=_days(read.text("AMENDS_OUTCOME_DELAY_DAYS", "0" if demo else "")),
        var_dir=var_dir,
        log_level=_level(read.text("AMENDS_LOG_LEVEL", "info")),
        organisation=read.text("AMENDS_ORGANISATION", "Northwind Outdoor" if demo else "Amends"),
        unknown=read.unknown(),
    )


@dataclass(frozen=True)
class _Reader:
    environ: Mapping[str, str]
    asked: set[str] = field(default_factory=set)  # the names of settings that were read

    def text(self, name: str, default: str | None = None) -> str:
        self.asked.add(name)
        value = self.environ.get(name)
        if value is None and (path := self.environ.get(f"{name}_FILE")):
            value = _read(f"{name}_FILE", path)
        if value is None:
            value = default
        if value is None:
            raise BadConfig(f"{name} is not set. It is needed to start; docs/running.md describes it.")
        return value

    def secret(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if len(value) < MIN_SECRET_LENGTH:
            raise BadConfig(
                f"{name} is {len(value)} characters long; it needs {MIN_SECRET_LENGTH} random ones or more."
            )
        return value

    def one_of(self, name: str, choices: type[Environment], default: str) -> Environment:
        value = self.text(name, default)
        if value not in list(choices):
            raise BadConfig(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
        return choices(value)

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if not web_address.leads_somewhere(web_address.parts_of(value)):
            raise BadConfig(f"{name} is {value!r}; it must be an http or https address.")
        return value.rstrip("/")

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            raise BadConfig(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}.") from None
        if not low <= number <= high:
            raise BadConfig(f"{name} is {value}; it must be from {low:g} to {high:g}.")
        return number

    def unknown(self) -> tuple[str, ...]:
        """Return the names that begin as ours and are no setting; to be asked last, when every setting was read.

        Raises BadConfig for one that is like a setting's: what somebody set and misspelt would be ignored in silence.
        Others may be anybody's: whoever runs containers names the addresses of a service "amends" so.
        """
        ours = [name for name in self.environ if name.startswith(PREFIX) and not name.startswith(OF_THE_TOOLS)]
        unknown = sorted(name for name in ours if not {name, name.removesuffix("_FILE")} & self.asked)
        known = {name.removeprefix(PREFIX): name for name in self.asked if name.startswith(PREFIX)}
        for name in unknown:
            if alike := get_close_matches(name.removeprefix(PREFIX).removesuffix("_FILE"), known, n=1, cutoff=ALIKE):
                raise BadConfig(
                    f"{name} is no setting. Did you mean {known[alike[0]]}? docs/running.md lists them all."
                )
        return tuple(unknown)


def _servers(read: _Reader, var_dir: pathlib.Path, environment: Environment) -> tuple[str, str]:
    names = [
        name for name in ("DATABASE_URL", "REDIS_URL") if read.environ.get(name) or read.environ.get(f"{name}_FILE")
    ]
    if len(names) == 2:
        return _psycopg(read.text("DATABASE_URL")), _redis(read.text("REDIS_URL"))
    if len(names) == 1 or environment is Environment.PRODUCTION:
        raise BadConfig("DATABASE_URL and REDIS_URL go together: set both, or neither to run the demo's own servers.")
    from core.embedded import (
        Embedded,
    )  # only the demo has these servers' binaries in use

    urls = Embedded(var_dir / "embedded").start()
    return urls.database_url, urls.redis_url


def _psycopg(url: str) -> str:
    """Return the URL with the driver named: hosting platforms give postgres:// and postgresql://."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise BadConfig("DATABASE_URL must start with postgresql://; no other database is supported.")
    named = f"postgresql+psycopg://{rest}"
    try:
        make_url(named)
    except (ArgumentError, ValueError):
        # The value holds a password, so the sentence does not repeat it.
        raise BadConfig(
            "DATABASE_URL cannot be read; it must look like postgresql://user:password@host:5432/name, "
            "with special characters of the password as %40 and the like."
        ) from None
    return named


def _redis(url: str) -> str:
    """Return the URL if Redis' own client reads it: otherwise every worker would stumble over it later."""
    try:
        parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        raise BadConfig(
            "REDIS_URL cannot be read; it must look like redis://host:6379/0, rediss://… or unix:///path/to/socket."
        ) from None
    return url


def _read(name: str, path: str) -> str:
    try:
        return pathlib.Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise BadConfig(f"{name} names {path}, which cannot be read: {reason}.") from None


def _level(value: str) -> str:
    if value.lower() not in LOG_LEVELS:
        raise BadConfig(f"AMENDS_LOG_LEVEL is {value!r}; it must be one of {', '.join(LOG_LEVELS)}.")
    return value.lower()


def _kept_secret(var_dir: pathlib.Path, name: str) -> str:
    """Return the demo's own secret, made at its first start and readable by its owner alone."""
    path = var_dir / "secrets" / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()


def _link_keys(value: str) -> tuple[tuple[int, str], ...]:
    """Parse "2:newkey,1:oldkey", newest first."""
    try:
        keys = tuple((int(version), key) for version, key in (part.split(":", 1) for part in value.split(",")))
    except ValueError:
        raise BadConfig("AMENDS_LINK_KEYS must look like 2:newkey,1:oldkey, newest first.") from None
    for version, key in keys:
        if not 1 <= version <= 9 or len(key) < MIN_SECRET_LENGTH:
            raise BadConfig(
                f"AMENDS_LINK_KEYS: version {version} must be 1 to 9 with {MIN_SECRET_LENGTH} characters or more."
            )
    return keys


def _days(value: str) -> int | None:
    """Parse a number of days; nothing is None."""
    if not value:
        return None
    if not value.isdecimal() or int(value) > 365:
        raise BadConfig(
            f"AMENDS_OUTCOME_DELAY_DAYS is {value}; it must be a whole number of days from 0 to 365, or empty."
        )
    return int(value)


def _hosts(value: str, base_url: str) -> tuple[str, ...]:
    named = tuple(host.strip() for host in value.split(",") if host.strip())
    return named or (urlsplit(base_url).hostname or "", "127.0.0.1", "localhost")
