"""`customers erase REF`: forget a customer who asked for it."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from core import clock
from core.db import db
from core.errors import NotFound
from customers import customers, erasure
from customers.models import Customer

group = AppGroup("customers", help="Customers' records.")


@group.command("erase")
@click.argument("reference", metavar="REF")
@click.option("--yes", is_flag=True, help="Don't ask.")
def erase(reference: str, yes: bool) -> None:
    """Erase the customer with this number of the shop's, or with this e-mail address.

    Their name, addresses, words and files go, also from messages and cases. Scores, money and when what happened stay.
    """
    customer = _found(reference)
    if not yes:
        click.confirm(f"Erase {customer.name or reference} for good? This cannot be undone.", abort=True)
    erased = erasure.erase(customer, by="system", now=clock.now())
    db.session.commit()
    click.echo(f"Erased. What is left is the record {erased.public_id}, which names nobody.")


def _found(reference: str) -> Customer:
    try:
        return customers.by_reference(reference)
    except NotFound:
        raise click.ClickException(
            f"Nobody, or more than one, is known as {reference}. Use the number that the shop gave them."
        ) from None
