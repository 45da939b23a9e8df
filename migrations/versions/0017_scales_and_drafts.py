"""A score is stored with its scale's version, and a draft with who saved it last."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("response", sa.Column("scale", sa.Text(), nullable=True))
    op.add_column("survey_version", sa.Column("saved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("survey_version", sa.Column("saved_by", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("survey_version", "saved_by")
    op.drop_column("survey_version", "saved_at")
    op.drop_column("response", "scale")
