"""Imports keep what else a row said of a response, and which brand they were asked to write to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    empty = sa.text("'{}'::jsonb")
    op.add_column("response", sa.Column("attributes", postgresql.JSONB(), nullable=False, server_default=empty))
    op.add_column("import_run", sa.Column("brand_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_import_run_brand_id"), "import_run", "brand", ["brand_id"], ["id"])
    op.create_index("ix_import_run_file_sha256", "import_run", ["file_sha256"])


def downgrade() -> None:
    op.drop_index("ix_import_run_file_sha256", "import_run")
    op.drop_constraint(op.f("fk_import_run_brand_id"), "import_run")
    op.drop_column("import_run", "brand_id")
    op.drop_column("response", "attributes")
