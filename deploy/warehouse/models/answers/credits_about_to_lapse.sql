-- Which credits lapse soon, unless their members use them? Those that are held for a session do not lapse.
select
    lots.lot_id,
    lots.member_id,
    members.plan_kind,
    lots.source,
    lots.available as credits,
    lots.expires_at,
    date_diff('hour', as_of.as_of, lots.expires_at) / 24.0 as days_left
from {{ ref('fct_credit_lots') }} as lots
cross join {{ ref('as_of') }} as as_of
left join {{ ref('dim_members') }} as members using (member_id)
where lots.available > 0
    and lots.expires_at > as_of.as_of
    and lots.expires_at <= as_of.as_of + to_days({{ var('lapse_days') }})
    and not coalesce(members.is_erased, false)
