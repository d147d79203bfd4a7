-- One row for each provider, with the schedule that was published last.
with

providers as (
    select provider_id from {{ ref('stg_availability__schedules') }}
    union select provider_id from {{ ref('stg_booking__rooms') }}
    union select provider_id from {{ ref('stg_booking__sessions') }}
),

published as (
    select distinct on (provider_id) *
    from {{ ref('stg_availability__schedules') }}
    where fact = 'SchedulePublished'
    order by provider_id, ce_sequence desc
),

withdrawn as (
    select provider_id, arg_max(fact, ce_sequence) = 'ScheduleWithdrawn' as is_withdrawn
    from {{ ref('stg_availability__schedules') }}
    where fact in ('SchedulePublished', 'ScheduleWithdrawn')
    group by provider_id
)

select
    provider_id,
    time_zone,
    specialty,
    list_sum(list_transform(weekly, lambda hours: hours.until - hours.start)) / 60.0 as weekly_hours,
    minimum_notice_minutes,
    horizon_days,
    slot_step_minutes,
    coalesce(is_withdrawn, true) as is_withdrawn
from providers
left join published using (provider_id)
left join withdrawn using (provider_id)
