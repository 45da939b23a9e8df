"""Counts for insights: moves between bands, what became of invitations; and the indexes that figures read by."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

MOVE_KEY = ("day", "brand_id", "survey_id", "metric", "touchpoint_id", "channel", "language", "route", "was", "became")
INVITED_KEY = ("day", "brand_id", "survey_id", "touchpoint_id", "channel", "language", "outcome", "reason")


def _column(name):
    kind = sa.Date() if name == "day" else sa.BigInteger() if name.endswith("_id") else sa.Text()
    return sa.Column(name, kind, nullable=False)


def _table(name, key):
    op.create_table(
        name,
        *map(_column, key),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    )


def upgrade() -> None:
    _table("rollup_move", MOVE_KEY)
    _table("rollup_invited", INVITED_KEY)
    op.create_index("ix_decision_decided_at", "decision", ["decided_at"], postgresql_using="brin")
    op.create_index("ix_invitation_created_at", "invitation", ["created_at"], postgresql_using="brin")
    op.create_index(
        "ix_response_words", "response", ["answered_at", "id"], postgresql_where=sa.text("comment IS NOT NULL")
    )
    op.create_index("ix_reward_case", "reward", ["case_id"], postgresql_where=sa.text("case_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_reward_case", table_name="reward")
    op.drop_index("ix_response_words", table_name="response")
    op.drop_index("ix_invitation_created_at", table_name="invitation")
    op.drop_index("ix_decision_decided_at", table_name="decision")
    op.drop_table("rollup_invited")
    op.drop_table("rollup_move")
