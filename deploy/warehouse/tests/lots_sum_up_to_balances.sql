-- The credits of a member's lots are the member's credits.
select member_id, sums.available, sums.held, lots.available as in_lots, lots.held as held_in_lots
from {{ ref('fct_balances') }} as sums
full join (
    select member_id, sum(available) as available, sum(held) as held from {{ ref('fct_credit_lots') }} group by member_id
) as lots using (member_id)
where coalesce(sums.available, 0) <> coalesce(lots.available, 0) or coalesce(sums.held, 0) <> coalesce(lots.held, 0)
