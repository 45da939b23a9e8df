"""How often one may try passwords, reset mails and codes: counted in Redis, or in each process while Redis is away.

Only what failed counts, so that an office behind one address can sign in on a Monday morning. Keys are hashes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, Response, request, session
from flask_limiter import Limiter

from core.tokens import hash_secret


def by_address() -> str:
    """Where the request comes from; X-Forwarded-For counts only behind declared proxies (wsgi.create_app)."""
    return hash_secret(f"address:{request.remote_addr}")


def by_account() -> str:
    """Whose sign-in is tried, from where: a stranger's tries elsewhere lock nobody out."""
    email = request.form.get("email", "").strip().lower()
    return hash_secret(f"account:{request.remote_addr}:{email}")


def by_mailbox() -> str:
    """Who would get the mail."""
    return hash_secret(f"mailbox:{request.form.get('email', '').strip().lower()}")


def by_person() -> str:
    """Who has given the password and now tries codes, or asks to be trusted again; from wherever."""
    return hash_secret(f"person:{session.get('tf_user_id') or session.get('_user_id') or request.remote_addr}")


def failed(response: Response) -> bool:
    """Whether a try failed: what succeeds redirects."""
    return response.status_code != 302


def always(response: Response) -> bool:
    return True


@dataclass(frozen=True)
class Limit:
    rates: str
    key: Callable[[], str]
    counts: Callable[[Response], bool] = failed


LIMITS: Final[dict[str, tuple[Limit, ...]]] = {
    "security.login": (Limit("5 per minute; 30 per hour", by_account), Limit("60 per minute", by_address)),
    "security.forgot_password": (
        Limit("5 per hour", by_mailbox, always),
        Limit("30 per hour", by_address, always),
    ),
    "security.reset_password": (Limit("20 per minute", by_address),),
    "security.two_factor_token_validation": (Limit("5 per minute; 20 per hour", by_person),),
    "security.two_factor_setup_validate": (Limit("10 per minute", by_person),),
    "security.mf_recovery": (Limit("5 per minute; 10 per hour", by_person),),
    "security.verify": (Limit("5 per minute; 30 per hour", by_person),),
    "security.change_password": (Limit("5 per minute; 30 per hour", by_person),),
    "welcome.choose_password": (Limit("20 per minute", by_address),),
}


def init_app(app: Flask, redis_url: str) -> Limiter:
    """Put the limits around the views they name; register those first."""
    limiter = Limiter(
        by_address,
        app=app,
        storage_uri=redis_url if not redis_url.startswith("unix://") else f"redis+{redis_url}",
        storage_options={"socket_connect_timeout": 0.5, "socket_timeout": 1},  # type: ignore[dict-item]  # seconds
        strategy="fixed-window",
        in_memory_fallback_enabled=True,
        headers_enabled=True,
        key_prefix="amends",
    )
    for endpoint, limits in LIMITS.items():
        for limit in limits:
            view: Any = app.view_functions[endpoint]
            app.view_functions[endpoint] = limiter.limit(
                limit.rates, key_func=limit.key, methods=["POST"], deduct_when=limit.counts
            )(view)
    return limiter
