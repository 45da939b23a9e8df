"""Problems with their corrective actions; cases are found by their cause and day."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "problem",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("brand_id", sa.BigInteger(), nullable=True),
        sa.Column("touchpoint_id", sa.BigInteger(), nullable=True),
        sa.Column("root_cause_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("known", sa.Text(), nullable=False),
        sa.Column("tell", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("form_key", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_because", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_problem_brand_id")),
        sa.ForeignKeyConstraint(["touchpoint_id"], ["touchpoint.id"], name=op.f("fk_problem_touchpoint_id")),
        sa.ForeignKeyConstraint(["root_cause_id"], ["root_cause.id"], name=op.f("fk_problem_root_cause_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name=op.f("fk_problem_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem")),
        sa.UniqueConstraint("public_id", name=op.f("uq_problem_public_id")),
        sa.UniqueConstraint("form_key", name=op.f("uq_problem_form_key")),
    )
    op.create_index("ix_problem_live", "problem", ["id"], postgresql_where=sa.text("closed_at IS NULL"))
    op.create_table(
        "corrective_action",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("problem_id", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("acted_on", sa.Date(), nullable=False),
        sa.Column("form_key", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["problem_id"], ["problem.id"], name=op.f("fk_corrective_action_problem_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrective_action")),
        sa.UniqueConstraint("form_key", name=op.f("uq_corrective_action_form_key")),
    )
    op.create_index("ix_corrective_action_problem_id", "corrective_action", ["problem_id"])
    op.create_index(
        "ix_case_cause",
        "case",
        ["root_cause_id", "opened_at"],
        postgresql_where=sa.text("root_cause_id IS NOT NULL AND import_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_case_cause", table_name="case")
    op.drop_table("corrective_action")
    op.drop_table("problem")
