-- One row for each movement of a member's credits: holds from their topic, everything else from the ledger's.
-- `available_change` and `held_change` say what it does to the member's balances.
with

holds as (
    select
        ce_id as movement_id, ce_id, member_id, session_id, hold_id, lot_id, lot_id as held_lot_id,
        'hold' as kind, null as cause, null as source, null as made_by,
        -1 as available_change, 1 as held_change, ce_time as moved_at, null::bigint as ledger_sequence,
        available_after, null::bigint as held_after, null::timestamptz as expires_at
    from {{ ref('stg_credits__holds') }}
    where funding = 'credit' and (fact = 'CreditHeld' or (fact = 'MoveCreditHeld' and how = 'added'))
),

lot_of_hold as (select hold_id, lot_id as held_lot_id from holds),

ledger as (
    select
        entry_id as movement_id,
        ce_id,
        member_id,
        session_id,
        hold_id,
        lot_id,
        coalesce(lot_of_hold.held_lot_id, lot_id) as held_lot_id,
        case fact
            when 'CreditGranted' then if(source = 'purchase', 'purchase', 'grant')
            when 'CreditExpired' then 'expire'
            when 'CreditReturned' then 'return'
            when 'CreditForfeited' then 'forfeit'
            when 'CreditSpent' then 'spend'
            when 'CreditAdjusted' then 'adjust'
            when 'CreditCorrected' then 'correct'
        end as kind,
        cause,
        source,
        made_by,
        -- What support gives back by hand, or a corrected outcome, was settled before, so it is not held any more.
        case
            when fact in ('CreditGranted', 'CreditReturned', 'CreditAdjusted', 'CreditCorrected') then amount
            when fact = 'CreditExpired' then -amount
            else 0
        end as available_change,
        case
            when fact in ('CreditSpent', 'CreditForfeited') then -amount
            when fact = 'CreditReturned' and cause not in ('support', 'corrected') then -amount
            else 0
        end as held_change,
        ce_time as moved_at,
        ce_sequence as ledger_sequence,
        available_after,
        held_after,
        expires_at
    from {{ ref('stg_credits__ledger') }}
    left join lot_of_hold using (hold_id)
    where entry_id is not null
)

select * from holds
union all by name
select * from ledger
