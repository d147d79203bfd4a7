-- Made by `python deploy/warehouse/generate_staging.py` from the contract of notifications.messages.v1.
{{ events('notifications_messages_v1', {
    'room_id': 'VARCHAR',
    'message_id': 'VARCHAR',
    'sender_id': 'VARCHAR',
    'sent_at': 'TIMESTAMPTZ',
}) }}
