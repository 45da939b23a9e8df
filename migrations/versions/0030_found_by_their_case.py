"""Clocks are found by their case, ledger entries by their reward, files by their entry, failures by their time."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_index("ix_case_clock_case_id", "case_clock", ["case_id"])
    op.create_index(
        "ix_ledger_entry_reward", "ledger_entry", ["reward_id"], postgresql_where=sa.text("reward_id IS NOT NULL")
    )
    op.create_index("ix_attachment_entry", "attachment", ["entry_id"], postgresql_where=sa.text("entry_id IS NOT NULL"))
    op.create_index("ix_message_failed", "message", ["state_at"], postgresql_where=sa.text("failure IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_message_failed", table_name="message")
    op.drop_index("ix_attachment_entry", table_name="attachment")
    op.drop_index("ix_ledger_entry_reward", table_name="ledger_entry")
    op.drop_index("ix_case_clock_case_id", table_name="case_clock")
