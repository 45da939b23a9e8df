"""`staff create`: the first administrator, before anybody can sign in."""

from __future__ import annotations

import sys

import click
from email_validator import EmailNotValidError, validate_email
from flask.cli import AppGroup

from accounts import sign_in, staff
from accounts.permissions import RoleName
from core import clock
from core.db import db

group = AppGroup("staff", help="Members of staff.")
MIN_LENGTH = 10  # characters, as on the pages


@group.command("create")
@click.argument("email")
@click.option("--name", required=True, help="As customers should read it.")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in RoleName]),
    multiple=True,
    required=True,
    help="May be repeated.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not a link.")
def create(email: str, name: str, roles: tuple[str, ...], password_stdin: bool) -> None:
    """Add a member of staff and print the link under which they choose a password."""
    password = _password() if password_stdin else None
    try:
        address = validate_email(email, check_deliverability=False).normalized
        person = staff.create(address, name=name, roles=roles, password=password, by="system", now=clock.now())
    except EmailNotValidError as error:
        raise click.ClickException(f"{email} is not an e-mail address: {error}") from error
    except staff.EmailTaken as error:
        raise click.ClickException(f"{email} is already here.") from error
    db.session.commit()
    click.echo(f"{person.name} ({', '.join(person.role_names)}) can sign in as {person.email}.")
    if password is None:
        click.echo(
            f"The password is chosen at {sign_in.welcome_link(person)} within {sign_in.WELCOME_WITHIN.days} days."
        )


def _password() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < MIN_LENGTH:
        raise click.ClickException(f"The password needs {MIN_LENGTH} characters or more.")
    return password
