-- One row for each time that a member waited for a slot.
with

entries as (
    select
        entry_id,
        any_value(provider_id) as provider_id,
        any_value(member_id) as member_id,
        any_value(room_id) as room_id,
        any_value(length_minutes) as length_minutes,
        any_value(modality) as modality,
        max(waits_from) as waits_from,
        max(waits_until) as waits_until,
        min(ce_time) filter (fact = 'WaitlistJoined') as joined_at,
        count(*) filter (fact = 'WaitlistOffered') as offers,
        count(*) filter (fact = 'WaitlistOfferLapsed') as lapsed_offers,
        count(*) filter (fact = 'WaitlistCandidatePassedOver') as times_passed_over,
        max(ce_time) filter (fact = 'WaitlistEnded') as ended_at,
        arg_max(cause, ce_sequence) filter (fact = 'WaitlistEnded') as ended_by
    from {{ ref('stg_availability__schedules') }}
    where entry_id is not null
    group by entry_id
),

reopened as (
    select provider_id, starts_at, ends_at, ce_time as released_at
    from {{ ref('stg_availability__reservations') }}
    where fact = 'SlotReleased' and reopened
),

chances as (
    select entries.entry_id, count(*) as reopened_slots
    from entries
    inner join reopened
        on reopened.provider_id = entries.provider_id
        and reopened.released_at >= entries.joined_at
        and reopened.released_at < coalesce(entries.ended_at, 'infinity')
        and reopened.starts_at >= entries.waits_from
        and reopened.ends_at <= entries.waits_until
        and date_diff('minute', reopened.starts_at, reopened.ends_at) >= entries.length_minutes
    group by entries.entry_id
)

select
    entries.*,
    coalesce(ended_by, 'waiting') as status,
    coalesce(reopened_slots, 0) as reopened_slots
from entries
left join chances using (entry_id)
