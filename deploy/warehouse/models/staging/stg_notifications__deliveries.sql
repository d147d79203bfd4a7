-- Made by `python deploy/warehouse/generate_staging.py` from the contract of notifications.deliveries.v1.
{{ events('notifications_deliveries_v1', {
    'delivery_id': 'VARCHAR',
    'person_id': 'VARCHAR',
    'channel': 'VARCHAR',
    'template': 'VARCHAR',
    'session_id': 'VARCHAR',
    'delivered_at': 'TIMESTAMPTZ',
    'failure': 'VARCHAR',
}) }}
