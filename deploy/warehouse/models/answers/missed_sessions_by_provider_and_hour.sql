-- How often does a provider miss sessions, and at which hour? Of sessions that took place or should have.
select
    provider_id || ':' || local_hour as provider_hour_id,
    provider_id,
    local_hour,
    count(*) as due_sessions,
    count(*) filter (status = 'provider_missed') as missed_sessions,
    missed_sessions / due_sessions as missed_rate,
    -- 95 % of chance is within these bounds (Wilson): few sessions say little.
    greatest(0, ((missed_rate + 1.9208 / due_sessions) - 1.96 * sqrt(missed_rate * (1 - missed_rate) / due_sessions + 0.9604 / due_sessions ** 2))
        / (1 + 3.8416 / due_sessions)) as missed_rate_low,
    least(1, ((missed_rate + 1.9208 / due_sessions) + 1.96 * sqrt(missed_rate * (1 - missed_rate) / due_sessions + 0.9604 / due_sessions ** 2))
        / (1 + 3.8416 / due_sessions)) as missed_rate_high
from {{ ref('fct_sessions') }}
where is_due
group by provider_id, local_hour
