"""Waiting invitations are found by when they should have gone out: those whose work was lost get it again."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index("ix_invitation_waiting", "invitation", ["send_at"], postgresql_where=sa.text("state = 'waiting'"))


def downgrade() -> None:
    op.drop_index("ix_invitation_waiting", "invitation")
