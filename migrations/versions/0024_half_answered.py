"""Whether kept answers are at least half of the questions that applied: what makes them a partial."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column(
        "invitation", sa.Column("half_answered", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )


def downgrade() -> None:
    op.drop_column("invitation", "half_answered")
