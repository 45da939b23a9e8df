"""What one customer may get of a goodwill programme, and the way from a reason to its reward."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("programme", sa.Column("customer_limit_minor", sa.BigInteger(), nullable=True))
    op.create_index("ix_reward_reason", "reward", ["reason"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_reward_reason", table_name="reward")
    op.drop_column("programme", "customer_limit_minor")
