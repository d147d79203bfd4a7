"""Candidates of the waitlist: a slot is held for them while booking judges whether they could book it."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """ALTER TABLE waitlist
        ADD COLUMN proposal_id uuid,
        ADD COLUMN offer_venue_id text,
        ADD COLUMN obstacles jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN search_from timestamptz,
        ADD COLUMN ask_again_at timestamptz,
        ADD CONSTRAINT a_candidate_waits CHECK (proposal_id IS NULL OR (status = 'waiting' AND lapses_at IS NOT NULL))""",
    "ALTER TABLE schedules ADD COLUMN published boolean NOT NULL GENERATED ALWAYS AS (body IS NOT NULL) STORED",
    "CREATE INDEX waitlist_in_person ON waitlist (provider_id) WHERE status IN ('waiting', 'offered') AND modality = 'in_person'",
    """COMMENT ON COLUMN waitlist.proposal_id IS
        'The member is a candidate: the slot in offer_… is held until lapses_at, while booking judges whether they could book it.'""",
    """COMMENT ON COLUMN waitlist.obstacles IS
        'Why the member could not book what they were proposed for last, as bookability names it; they keep their place.'""",
    "COMMENT ON COLUMN waitlist.ask_again_at IS 'Until then the member is passed over, unless something opens.'",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward")
