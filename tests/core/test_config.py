"""What is wrong with the environment is said in a sentence that names the setting, never as a fault of a library."""

from __future__ import annotations

import pytest

from core.config import BadConfig, from_environment

GOOD = {
    "DATABASE_URL": "postgresql://amends:pass@db.internal/amends",
    "REDIS_URL": "redis://cache.internal:6379/0",
    "SECRET_KEY": "k" * 40,
    "AMENDS_BASE_URL": "https://amends.example",
}


def test_a_whole_environment_is_read() -> None:
    config = from_environment(GOOD | {"AMENDS_LOG_LEVEL": "WARNING"})

    assert config.log_level == "warning"
    assert config.database_url == "postgresql+psycopg://amends:pass@db.internal/amends"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://cache:port/0"),
        ("DATABASE_URL", "postgresql://amends:hidden@db:port/amends"),
        ("DATABASE_URL", "mysql://db/amends"),
        ("AMENDS_LOG_LEVEL", "verbose"),
        ("SECRET_KEY", "short"),
        ("AMENDS_BASE_URL", "amends.example"),
    ],
)
def test_a_malformed_setting_is_named_and_its_password_is_not_repeated(name: str, value: str) -> None:
    with pytest.raises(BadConfig) as refused:
        from_environment(GOOD | {name: value})

    assert name in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named() -> None:
    given = {name: value for name, value in GOOD.items() if name != "SECRET_KEY"}

    with pytest.raises(BadConfig, match=r"SECRET_KEY_FILE names /nowhere/key, which cannot be read: No such file"):
        from_environment(given | {"SECRET_KEY_FILE": "/nowhere/key"})
