-- Who waited in vain although a fitting slot opened in the meantime? Such demand could have been met.
select
    entry_id,
    provider_id,
    member_id,
    length_minutes,
    modality,
    joined_at,
    ended_at,
    waits_from,
    waits_until,
    status,
    offers,
    lapsed_offers,
    times_passed_over,
    reopened_slots,
    case
        when status = 'booked' then 'met'
        when status = 'waiting' and waits_until > (select as_of from {{ ref('as_of') }}) then 'still waiting'
        when offers > 0 then 'offered, not taken'
        when reopened_slots > 0 then 'could have been met'
        else 'no slot opened'
    end as demand
from {{ ref('fct_waitlist') }}
