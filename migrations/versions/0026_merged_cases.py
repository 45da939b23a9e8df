"""Which case another one was merged into: it is closed, and points to the one that is worked on."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("case", sa.Column("merged_into_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_case_merged_into_id"), "case", "case", ["merged_into_id"], ["id"])
    op.create_check_constraint(op.f("ck_case_merged_is_closed"), "case", "merged_into_id IS NULL OR state = 'closed'")
    op.create_index(
        "ix_case_merged_into", "case", ["merged_into_id"], postgresql_where=sa.text("merged_into_id IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_case_merged_into", table_name="case")
    op.drop_constraint(op.f("ck_case_merged_is_closed"), "case", type_="check")
    op.drop_constraint(op.f("fk_case_merged_into_id"), "case", type_="foreignkey")
    op.drop_column("case", "merged_into_id")
