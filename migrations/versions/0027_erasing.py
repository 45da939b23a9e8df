"""Erasing finds messages and complaints by their address; files keep what they are to be looked through for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_index(
        "ix_message_to_nobody_known",
        "message",
        [sa.text("lower(to_address)")],
        postgresql_where=sa.text("customer_id IS NULL AND to_address IS NOT NULL"),
    )
    op.create_index(
        "ix_complaint_typed_email",
        "complaint",
        [sa.text("lower(typed_email)")],
        postgresql_where=sa.text("typed_email IS NOT NULL"),
    )
    op.add_column("import_upload", sa.Column("sought", JSONB(), nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    op.drop_column("import_upload", "sought")
    op.drop_index("ix_complaint_typed_email", "complaint")
    op.drop_index("ix_message_to_nobody_known", "message")
