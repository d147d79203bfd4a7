-- Made by `python deploy/warehouse/generate_staging.py` from the contract of credits.enrolments.v1.
{{ events('credits_enrolments_v1', {
    'member_id': 'VARCHAR',
    'enrolment_id': 'VARCHAR',
    'plan_id': 'VARCHAR',
    'ended_on': 'DATE',
    'plan_kind': 'VARCHAR',
    'starts_on': 'DATE',
    'ends_on': 'DATE',
    'time_zone': 'VARCHAR',
    'lengths': 'BIGINT[]',
    'psychiatry_lengths': 'BIGINT[]',
    'modalities': 'VARCHAR[]',
    'live_credits': 'BIGINT',
    'purchasable': 'BOOLEAN',
    'period_months': 'BIGINT',
    'reminder_channels': 'VARCHAR[]',
    'co_pay': 'STRUCT("amount_minor" BIGINT, "currency" VARCHAR)',
}) }}
