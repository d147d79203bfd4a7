-- One row for each hour of a provider's day in which the schedule offered time: how much of it was published, taken off, and booked.
-- A day has the hours of the schedule that was published last before the day ended, in the provider's own zone.
with

schedules as (
    select
        *,
        -- The first schedule counts from the provider's first day on, also if the platform's clock was moved.
        lead(ce_time) over (partition by provider_id order by ce_sequence) as replaced_at
    from {{ ref('stg_availability__schedules') }}
    where fact in ('SchedulePublished', 'ScheduleWithdrawn')
),

valid as (
    select provider_id, time_zone, weekly, exceptions, ce_time as valid_from, coalesce(replaced_at, 'infinity') as valid_until
    from schedules
    where fact = 'SchedulePublished'
),

days as (
    select
        valid.*,
        unnest(generate_series(
            date_trunc('day', timezone(time_zone, valid_from)),
            date_trunc('day', timezone(time_zone, least(valid_until, (select as_of from {{ ref('as_of') }})))),
            interval 1 day
        ))::date as local_day
    from valid
),

effective as (
    select * from days
    where timezone(time_zone, (local_day + 1)::timestamp) > valid_from
        and timezone(time_zone, (local_day + 1)::timestamp) <= valid_until
),

excepted as (
    select provider_id, valid_from, unnest(exceptions) as exception from valid
),

spans as (
    select provider_id, time_zone, local_day, span.start, span.until
    from (
        select effective.*, unnest(weekly) as span, isodow(local_day) - 1 as weekday
        from effective
        anti join excepted
            on excepted.provider_id = effective.provider_id
            and excepted.valid_from = effective.valid_from
            and excepted.exception.day = effective.local_day
    )
    where span.weekday = weekday
    union all
    select effective.provider_id, effective.time_zone, effective.local_day, hours.start, hours.until
    from effective
    inner join (select provider_id, valid_from, exception.day, unnest(exception.hours) as hours from excepted) as changed
        on changed.provider_id = effective.provider_id
        and changed.valid_from = effective.valid_from
        and changed.day = effective.local_day
),

hours as (
    select
        provider_id,
        time_zone,
        local_day,
        local_hour,
        -- An hour that a clock change skips has no length, one that it repeats has two.
        timezone(time_zone, local_day + to_minutes(greatest(start, local_hour * 60))) as starts_at,
        timezone(time_zone, local_day + to_minutes(least(until, (local_hour + 1) * 60))) as ends_at
    from (select *, unnest(range(start // 60, (until + 59) // 60)) as local_hour from spans)
),

removed as (
    select time_off_id from {{ ref('stg_availability__schedules') }} where fact = 'TimeOffRemoved'
),

time_off_raw as (
    select provider_id, starts_at, ends_at
    from {{ ref('stg_availability__schedules') }}
    where fact = 'TimeOffAdded' and starts_at is not null and time_off_id not in (select time_off_id from removed)
),

-- Times off may overlap: joined, so that no minute counts twice.
time_off as (
    select provider_id, min(starts_at) as starts_at, max(ends_at) as ends_at
    from (
        select *, sum(is_new) over (partition by provider_id order by starts_at, ends_at) as island
        from (
            select
                *,
                if(starts_at <= max(ends_at) over (
                    partition by provider_id order by starts_at, ends_at rows between unbounded preceding and 1 preceding
                ), 0, 1) as is_new
            from time_off_raw
        )
    )
    group by provider_id, island
),

off as (
    select hours.provider_id, hours.starts_at, sum(date_diff(
        'second', greatest(hours.starts_at, time_off.starts_at), least(hours.ends_at, time_off.ends_at)
    )) / 60.0 as minutes
    from hours
    inner join time_off
        on time_off.provider_id = hours.provider_id and time_off.starts_at < hours.ends_at and time_off.ends_at > hours.starts_at
    group by hours.provider_id, hours.starts_at
),

booked as (
    select
        hours.provider_id,
        hours.starts_at,
        sum(date_diff(
            'second', greatest(hours.starts_at, sessions.starts_at), least(hours.ends_at, sessions.ends_at)
        )) / 60.0 as minutes,
        sum(if(sessions.status = 'completed', date_diff(
            'second', greatest(hours.starts_at, sessions.starts_at), least(hours.ends_at, sessions.ends_at)
        ), 0)) / 60.0 as attended
    from hours
    inner join {{ ref('fct_sessions') }} as sessions
        on sessions.provider_id = hours.provider_id
        and sessions.starts_at < hours.ends_at and sessions.ends_at > hours.starts_at
        and sessions.status in ('reserved', 'confirmed', 'in_session', 'completed', 'provider_missed', 'member_no_show')
    group by hours.provider_id, hours.starts_at
)

select
    hours.provider_id || ':' || strftime(hours.starts_at, '%Y-%m-%dT%H:%M') as published_hour_id,
    hours.provider_id,
    hours.local_day,
    hours.local_hour,
    isodow(hours.local_day) as local_weekday,
    hours.starts_at,
    hours.ends_at,
    date_diff('second', hours.starts_at, hours.ends_at) / 60.0 as published_minutes,
    coalesce(off.minutes, 0) as time_off_minutes,
    date_diff('second', hours.starts_at, hours.ends_at) / 60.0 - coalesce(off.minutes, 0) as offered_minutes,
    coalesce(booked.minutes, 0) as booked_minutes,
    coalesce(booked.attended, 0) as attended_minutes
from hours
left join off using (provider_id, starts_at)
left join booked using (provider_id, starts_at)
where hours.ends_at > hours.starts_at
