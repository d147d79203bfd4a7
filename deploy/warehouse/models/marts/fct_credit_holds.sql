-- One row for each credit or co-pay that was set aside for a session. A move may add a second one.
with

held as (
    select
        hold_id, session_id, member_id, funding, lot_id, plan_id, invoice_id, move_id, ce_time as held_at,
        co_pay.amount_minor as co_pay_minor, co_pay.currency as currency
    from {{ ref('stg_credits__holds') }}
    where fact = 'CreditHeld' or (fact = 'MoveCreditHeld' and how = 'added')
),

settled as (
    select
        hold_id,
        case fact
            when 'CreditReturned' then 'returned' when 'CreditForfeited' then 'forfeited' when 'CreditSpent' then 'spent' else state
        end as state,
        case fact when 'CreditSpent' then 'completed' when 'CreditCorrected' then 'corrected' else cause end as cause,
        ce_time as settled_at,
        ce_sequence,
        fact
    from {{ ref('stg_credits__ledger') }}
    where fact in ('CreditReturned', 'CreditForfeited', 'CreditSpent', 'CreditCorrected')
),

last_settled as (
    select
        hold_id,
        arg_max(state, ce_sequence) as state,
        arg_max(cause, ce_sequence) as cause,
        max(settled_at) as settled_at,
        min(settled_at) filter (state = 'returned') as returned_at
    from settled
    group by hold_id
)

select
    held.hold_id,
    held.session_id,
    held.member_id,
    held.funding,
    held.move_id is not null as is_for_move,
    held.lot_id,
    held.plan_id,
    held.invoice_id,
    held.co_pay_minor,
    held.currency,
    held.held_at,
    if(held.funding = 'credit', coalesce(last_settled.state, 'held'), null) as state,
    last_settled.cause,
    last_settled.settled_at,
    last_settled.returned_at
from held
left join last_settled using (hold_id)
