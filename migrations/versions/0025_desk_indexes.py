"""The desk's narrower queues by indexes of their own: what few of many open cases are is found without reading all."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
ON_DESK = "state IN ('open','recovery','waiting') AND NOT off_desk"
NARROWER = {
    "ix_case_unreached": (["due_at"], "state = 'open' AND first_contact_at IS NULL AND NOT off_desk"),
    "ix_case_waiting": (["due_at"], "state = 'waiting' AND NOT off_desk"),
    "ix_case_team": (["team_id", "due_at"], ON_DESK),
}


def upgrade() -> None:
    for name, (columns, where) in NARROWER.items():
        op.create_index(name, "case", columns, postgresql_where=sa.text(where))


def downgrade() -> None:
    for name in NARROWER:
        op.drop_index(name, table_name="case")
