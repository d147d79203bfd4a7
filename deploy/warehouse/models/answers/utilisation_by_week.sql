-- How much of the hours that providers published was booked, and how much was used? By provider and week, until now.
select
    provider_id || ':' || date_trunc('week', local_day)::date as provider_week_id,
    provider_id,
    date_trunc('week', local_day)::date as week,
    sum(published_minutes) / 60 as published_hours,
    sum(offered_minutes) / 60 as offered_hours,
    sum(booked_minutes) / 60 as booked_hours,
    sum(attended_minutes) / 60 as attended_hours,
    if(sum(offered_minutes) > 0, least(1, sum(booked_minutes) / sum(offered_minutes)), null) as utilisation,
    if(sum(offered_minutes) > 0, least(1, sum(attended_minutes) / sum(offered_minutes)), null) as attended_share
from {{ ref('fct_published_hours') }}
where ends_at <= (select as_of from {{ ref('as_of') }})
group by provider_id, date_trunc('week', local_day)
