"""What was told of each day when it was counted last, so that a day is counted anew only when something has come."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "rollup_told",
        sa.Column("within_minutes", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("newest_id", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("within_minutes", "day", name=op.f("pk_rollup_told")),
    )


def downgrade() -> None:
    op.drop_table("rollup_told")
