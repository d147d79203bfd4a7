-- After each entry, the credits that a member has in all, available and held, are the sum of the entries up to it (CRED-1).
-- A hold moves a credit from one to the other, so it does not matter here how far its topic was exported.
select *
from (
    select
        member_id,
        ledger_sequence,
        kind,
        available_after + held_after as books,
        sum(available_change + held_change) over (partition by member_id order by ledger_sequence) as total
    from {{ ref('fct_credit_movements') }}
    where ledger_sequence is not null
)
where books <> total
