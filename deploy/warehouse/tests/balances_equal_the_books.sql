-- What the service last said about a member's available and held credits is the sum of all movements, holds included.
-- Holds and entries are on two topics, so which of them came last is only certain if a second lies between them.
with

entries as (
    select
        member_id,
        arg_max(available_after, ledger_sequence) as available,
        arg_max(held_after, ledger_sequence) as held,
        max(moved_at) as said_at
    from {{ ref('fct_credit_movements') }}
    where ledger_sequence is not null
    group by member_id
),

holds as (
    select member_id, arg_max_null(available_after, (moved_at, ce_id)) as available, max(moved_at) as said_at
    from {{ ref('fct_credit_movements') }}
    where kind = 'hold'
    group by member_id
),

last_said as (
    select
        entries.member_id,
        coalesce(holds.said_at > entries.said_at, false) as ends_with_hold,
        if(ends_with_hold, holds.available, entries.available) as available,
        if(ends_with_hold, null, entries.held) as held,
        greatest(entries.said_at, coalesce(holds.said_at, entries.said_at)) as said_at
    from entries
    left join holds using (member_id)
    where holds.said_at is null or abs(date_diff('millisecond', holds.said_at, entries.said_at)) > 1000
)

select
    last_said.member_id, last_said.available, sums.available as sum_available, last_said.held, sums.held as sum_held
from last_said
inner join {{ ref('fct_balances') }} as sums using (member_id)
where said_at <= (select max(moved_at) from {{ ref('fct_credit_movements') }}) - to_seconds({{ var('unsettled_seconds') }})
    -- The hold of a move does not say what is available after it; the service's books are compared again after the next entry.
    and ((last_said.available is not null and last_said.available <> sums.available) or last_said.held <> sums.held)
