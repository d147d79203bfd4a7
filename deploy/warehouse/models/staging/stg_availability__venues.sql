-- Made by `python deploy/warehouse/generate_staging.py` from the contract of availability.venues.v1.
{{ events('availability_venues_v1', {
    'venue_id': 'VARCHAR',
    'venue_version': 'BIGINT',
    'code_digest': 'VARCHAR',
    'name': 'VARCHAR',
    'place': 'VARCHAR',
    'time_zone': 'VARCHAR',
}) }}
