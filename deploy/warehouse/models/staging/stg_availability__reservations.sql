-- Made by `python deploy/warehouse/generate_staging.py` from the contract of availability.reservations.v1.
{{ events('availability_reservations_v1', {
    'session_id': 'VARCHAR',
    'provider_id': 'VARCHAR',
    'member_id': 'VARCHAR',
    'venue_id': 'VARCHAR',
    'starts_at': 'TIMESTAMPTZ',
    'ends_at': 'TIMESTAMPTZ',
    'hold_until': 'TIMESTAMPTZ',
    'blocked_from': 'TIMESTAMPTZ',
    'blocked_until': 'TIMESTAMPTZ',
    'move_id': 'VARCHAR',
    'reasons': 'STRUCT("code" VARCHAR, "detail" VARCHAR, "available_from" TIMESTAMPTZ, "credits" BIGINT)[]',
    'old_starts_at': 'TIMESTAMPTZ',
    'old_ends_at': 'TIMESTAMPTZ',
    'old_venue_id': 'VARCHAR',
    'cause': 'VARCHAR',
    'reopened': 'BOOLEAN',
}) }}
