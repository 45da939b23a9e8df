"""Messages whose words are still kept are found by their age: the oldest lose them when their retention is over."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_index("ix_message_kept", "message", ["created_at"], postgresql_where=sa.text("erased_at IS NULL"))


def downgrade() -> None:
    op.drop_index("ix_message_kept", "message")
