-- One row for each member: the sums of all movements, which equal the service's books (tests/ledger_*).
select
    member_id,
    sum(available_change) as available,
    sum(held_change) as held,
    count(*) as movements,
    max(moved_at) as last_moved_at
from {{ ref('fct_credit_movements') }}
group by member_id
