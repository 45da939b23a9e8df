"""What one contact with a customer costs a brand, in minor units of its currency; unknown until somebody says."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("brand", sa.Column("contact_cost_minor", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("brand", "contact_cost_minor")
