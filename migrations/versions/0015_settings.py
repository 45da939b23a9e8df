"""Calendars and SLA policies have pages of their own, so they get public ids; a stage can be archived."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

TABLES = ("calendar", "sla_policy")


def upgrade() -> None:
    random = sa.text("replace(gen_random_uuid()::text, '-', '')")
    for table in TABLES:
        op.add_column(table, sa.Column("public_id", sa.Text(), nullable=False, server_default=random))
        op.alter_column(table, "public_id", server_default=None)
        op.create_unique_constraint(op.f(f"uq_{table}_public_id"), table, ["public_id"])
    op.add_column("stage", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("stage", "archived_at")
    for table in TABLES:
        op.drop_constraint(op.f(f"uq_{table}_public_id"), table)
        op.drop_column(table, "public_id")
