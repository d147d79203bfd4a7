-- Made by `python deploy/warehouse/generate_staging.py` from the contract of booking.waitlist.v1.
{{ events('booking_waitlist_v1', {
    'proposal_id': 'VARCHAR',
    'entry_id': 'VARCHAR',
    'room_id': 'VARCHAR',
    'member_id': 'VARCHAR',
    'provider_id': 'VARCHAR',
    'starts_at': 'TIMESTAMPTZ',
    'reasons': 'STRUCT("code" VARCHAR, "detail" VARCHAR, "action" VARCHAR, "href" VARCHAR)[]',
    'next_starts_at': 'TIMESTAMPTZ',
}) }}
