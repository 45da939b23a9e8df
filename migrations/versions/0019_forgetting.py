"""What is to be forgotten is found by an index: messages that still say something, and records merged into others."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_index("ix_message_kept", "message", ["created_at"], postgresql_where=sa.text("erased_at IS NULL"))
    merged = sa.text("merged_into_id IS NOT NULL")
    op.create_index("ix_customer_merged", "customer", ["merged_into_id"], postgresql_where=merged)


def downgrade() -> None:
    op.drop_index("ix_customer_merged", "customer")
    op.drop_index("ix_message_kept", "message")
