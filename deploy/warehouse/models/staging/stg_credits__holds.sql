-- Made by `python deploy/warehouse/generate_staging.py` from the contract of credits.holds.v1.
{{ events('credits_holds_v1', {
    'session_id': 'VARCHAR',
    'member_id': 'VARCHAR',
    'hold_id': 'VARCHAR',
    'funding': 'VARCHAR',
    'plan_id': 'VARCHAR',
    'lot_id': 'VARCHAR',
    'invoice_id': 'VARCHAR',
    'available_after': 'BIGINT',
    'hold_until': 'TIMESTAMPTZ',
    'co_pay': 'STRUCT("amount_minor" BIGINT, "currency" VARCHAR)',
    'reasons': 'STRUCT("code" VARCHAR, "detail" VARCHAR, "available_from" TIMESTAMPTZ, "credits" BIGINT)[]',
    'purchasable': 'BOOLEAN',
    'move_id': 'VARCHAR',
    'how': 'VARCHAR',
}) }}
