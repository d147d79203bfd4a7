-- Made by `python deploy/warehouse/generate_staging.py` from the contract of booking.rooms.v1.
{{ events('booking_rooms_v1', {
    'room_id': 'VARCHAR',
    'member_id': 'VARCHAR',
    'provider_id': 'VARCHAR',
    'room_version': 'BIGINT',
    'new_room_id': 'VARCHAR',
    'new_provider_id': 'VARCHAR',
    'changed_at': 'TIMESTAMPTZ',
    'closed_at': 'TIMESTAMPTZ',
    'erased': 'VARCHAR',
    'closed_by': 'VARCHAR',
    'opened_at': 'TIMESTAMPTZ',
    'restarted_at': 'TIMESTAMPTZ',
}) }}
