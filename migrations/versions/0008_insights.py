"""The tables of insights: roll-ups."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "rollup",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("brand_id", sa.BigInteger(), nullable=False),
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("touchpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day",
            "brand_id",
            "survey_id",
            "version_id",
            "question",
            "metric",
            "touchpoint_id",
            "channel",
            "language",
            "team_id",
            "kind",
            "score",
            name=op.f("pk_rollup"),
        ),
    )
    op.create_index("ix_rollup_day", "rollup", ["day"], unique=False)
    op.create_index("ix_rollup_survey_day", "rollup", ["survey_id", "day"], unique=False)


def downgrade() -> None:
    op.drop_table("rollup")
