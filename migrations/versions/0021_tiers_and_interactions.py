"""Figures by the customer's tier, counts of interactions, and indexes by which days are counted anew."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

KEYS = {
    "rollup": (
        "day, brand_id, survey_id, version_id, question, metric, touchpoint_id, channel, language, {tier}team_id, kind,"
        " score"
    ),
    "rollup_move": "day, brand_id, survey_id, metric, touchpoint_id, channel, language, {tier}route, was, became",
    "rollup_invited": "day, brand_id, survey_id, touchpoint_id, channel, language, {tier}outcome, reason",
}


def upgrade() -> None:
    op.add_column("response", sa.Column("tier", sa.Text(), nullable=True))
    for table, key in KEYS.items():
        op.add_column(table, sa.Column("tier", sa.Text(), nullable=False, server_default="*"))
        _key(table, key.format(tier="tier, "))
        op.create_index(f"ix_{table}_tier_day", table, ["tier", "day"])
        op.alter_column(table, "tier", server_default=None)
    op.drop_index("ix_rollup_day", table_name="rollup")
    op.create_table(
        "rollup_interaction",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("brand_id", sa.BigInteger(), nullable=False),
        sa.Column("touchpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "brand_id", "touchpoint_id", "tier", "status", name=op.f("pk_rollup_interaction")
        ),
    )
    op.create_index("ix_interaction_received_at", "interaction", ["received_at"], postgresql_using="brin")
    op.create_index("ix_invitation_expires_at", "invitation", ["expires_at"], postgresql_using="brin")
    op.create_index(
        "ix_outcome_check_silent", "outcome_check", ["due_at"], postgresql_where=sa.text("state = 'silent'")
    )


def downgrade() -> None:
    op.drop_index("ix_outcome_check_silent", table_name="outcome_check")
    op.drop_index("ix_invitation_expires_at", table_name="invitation")
    op.drop_index("ix_interaction_received_at", table_name="interaction")
    op.drop_table("rollup_interaction")
    for table, key in KEYS.items():
        _forget_tiers(table, key.format(tier=""))
    op.create_index("ix_rollup_day", "rollup", ["day"])
    op.drop_column("response", "tier")


def _key(table, columns):
    op.drop_constraint(op.f(f"pk_{table}"), table, type_="primary")
    op.create_primary_key(op.f(f"pk_{table}"), table, columns.split(", "))


def _forget_tiers(table, columns):
    op.execute(f"DELETE FROM {table} WHERE tier <> '*'")  # noqa: S608  # a constant
    op.drop_column(table, "tier")
    op.create_primary_key(op.f(f"pk_{table}"), table, columns.split(", "))
