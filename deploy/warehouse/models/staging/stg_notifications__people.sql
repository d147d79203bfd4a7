-- Made by `python deploy/warehouse/generate_staging.py` from the contract of notifications.people.v1.
{{ events('notifications_people_v1', {
    'person_id': 'VARCHAR',
    'erased_at': 'TIMESTAMPTZ',
    'public_key': 'VARCHAR',
    'jti': 'VARCHAR',
    'revoked_at': 'TIMESTAMPTZ',
}) }}
