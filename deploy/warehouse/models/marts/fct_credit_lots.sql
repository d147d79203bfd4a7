-- One row for each lot: credits that arrived together and lapse together.
with

expiries as (
    select lot_id, ce_sequence, expires_at
    from {{ ref('stg_credits__ledger') }}
    where fact in ('CreditGranted', 'CreditReturned', 'CreditAdjusted', 'CreditCorrected', 'LotExpiryChanged')
),

described as (
    select
        lot_id,
        any_value(member_id) as member_id,
        arg_min(source, ce_sequence) filter (source is not null) as source,
        arg_max(length_minutes, ce_sequence) filter (length_minutes is not null) as length_minutes,
        max(made_for_minutes) as made_for_minutes,
        min(ce_time) as opened_at
    from {{ ref('stg_credits__ledger') }}
    where lot_id is not null
    group by lot_id
),

latest_expiry as (
    select distinct on (lot_id) lot_id, expires_at from expiries order by lot_id, ce_sequence desc
),

available as (
    select lot_id, sum(available_change) as available, sum(available_change) filter (kind in ('grant', 'purchase')) as granted,
        -sum(available_change) filter (kind = 'expire') as lapsed
    from {{ ref('fct_credit_movements') }} group by lot_id
),

held as (
    select held_lot_id as lot_id, sum(held_change) as held from {{ ref('fct_credit_movements') }} group by held_lot_id
)

select
    lot_id,
    member_id,
    source,
    length_minutes,
    made_for_minutes,
    opened_at,
    expires_at,
    coalesce(granted, 0) as granted,
    coalesce(lapsed, 0) as lapsed,
    coalesce(available, 0) as available,
    coalesce(held, 0) as held
from described
left join latest_expiry using (lot_id)
left join available using (lot_id)
left join held using (lot_id)
