"""What must be remembered while it goes on: which days were told of, which files a command imports, who is sought."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "rollup_told",
        sa.Column("within_minutes", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("newest_id", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("within_minutes", "day", name=op.f("pk_rollup_told")),
    )
    op.create_table(
        "import_at_work",
        sa.Column("file_sha256", sa.String(), nullable=False),
        sa.Column("sought", JSONB(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file_sha256", name=op.f("pk_import_at_work")),
    )
    op.create_table(
        "refusal_search",
        sa.Column("erased_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sought", JSONB(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("erased_id", name=op.f("pk_refusal_search")),
    )


def downgrade() -> None:
    op.drop_table("refusal_search")
    op.drop_table("import_at_work")
    op.drop_table("rollup_told")
