-- Made by `python deploy/warehouse/generate_staging.py` from the contract of booking.policies.v1.
{{ events('booking_policies_v1', {
    'scope': 'VARCHAR',
    'policy_id': 'VARCHAR',
    'policy_version': 'BIGINT',
    'in_force_from': 'TIMESTAMPTZ',
    'notice_hours': 'BIGINT',
    'confirm_hours': 'BIGINT',
    'join_minutes': 'BIGINT',
    'grace_minutes': 'BIGINT',
    'no_show_minutes': 'BIGINT',
    'cooling_off_minutes': 'BIGINT',
    'together_minutes': 'BIGINT',
    'inactivity_days': 'BIGINT',
    'offer_minutes': 'BIGINT',
    'adjustment_limit': 'BIGINT',
    'co_pay_due_days': 'BIGINT',
}) }}
