"""What is wrong with the environment is said in a sentence that names the setting, never as a fault of a library."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.config import BadConfig, Config, from_environment
from wsgi import create_app

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
        ("AMENDS_BASE_URL", "https://[amends.example"),
        ("AMENDS_BASE_URL", "https://amends.example:99999"),
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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AMENDS_PROXY", "AMENDS_PROXIES"),
        ("AMENDS_BASEURL", "AMENDS_BASE_URL"),
        ("AMENDS_LINK_KEY_FILE", "AMENDS_LINK_KEYS"),
        ("AMENDS_ORGANIZATION", "AMENDS_ORGANISATION"),
        ("AMENDS_LOGLEVEL", "AMENDS_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_stops_the_start_and_tells_the_right_one(name: str, meant: str) -> None:
    with pytest.raises(BadConfig, match=f"{name} is no setting. Did you mean {meant}[?]"):
        from_environment(GOOD | {name: "1"})


def test_a_name_that_is_like_no_setting_is_only_told_and_the_tools_own_are_not() -> None:
    of_a_cluster = ("AMENDS_PORT", "AMENDS_PORT_8000_TCP", "AMENDS_SERVICE_HOST", "AMENDS_WEB_PORT")
    of_the_tools = ("AMENDS_TEST_DATA", "AMENDS_PYTHON", "AMENDS_CHROMIUM", "AMENDS_LINK_DAYS_FILE")

    config = from_environment(GOOD | dict.fromkeys((*of_a_cluster, *of_the_tools), ""))

    assert config.unknown == of_a_cluster


def test_a_name_of_somebody_elses_is_a_line_in_the_log(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    create_app(replace(config, unknown=("AMENDS_PORT",)))

    assert '"name": "AMENDS_PORT", "event": "no_such_setting", "level": "warning"' in capsys.readouterr().out
