-- One row for each session. The last event with a status decides; `OutcomeCorrected` replaces the outcome before it.
with

events as (
    select
        *,
        case fact
            when 'SessionRequested' then 'requested'
            when 'SessionReserved' then 'reserved'
            when 'SessionRejected' then 'rejected'
            when 'SessionConfirmed' then 'confirmed'
            when 'SessionDeclined' then 'declined'
            when 'SessionExpired' then 'expired'
            when 'SessionCancelled' then 'cancelled'
            when 'SessionStarted' then 'in_session'
            when 'SessionCompleted' then 'completed'
            when 'ProviderMissed' then 'provider_missed'
            when 'MemberNoShow' then 'member_no_show'
            when 'OutcomeCorrected' then outcome
            -- A move asks for a new confirmation, unless the one who moved it could confirm it.
            when 'SessionMoved' then if(confirmed, 'confirmed', 'reserved')
        end as status_after
    from {{ ref('stg_booking__sessions') }}
),

-- Every event has the session's fields as they are after it. A requested move has its wishes in other fields.
latest as (
    select distinct on (session_id)
        session_id, room_id, member_id, provider_id, starts_at, ends_at, length_minutes, extended_minutes, modality, time_zone, venue_id
    from events
    order by session_id, ce_sequence desc
),

folded as (
    select
        session_id,
        arg_max(status_after, ce_sequence) filter (status_after is not null) as status,
        arg_min(fact, ce_sequence) filter (fact in ('SessionCompleted', 'ProviderMissed', 'MemberNoShow')) as first_ending,
        count(*) filter (fact = 'OutcomeCorrected') > 0 as is_corrected,
        count(*) filter (fact = 'OutcomeDisputed') > 0 as is_disputed,
        count(*) filter (fact = 'SessionMoved') as moves,
        count(*) filter (fact = 'SessionExtended') as extensions,
        arg_min(starts_at, ce_sequence) as booked_starts_at,
        arg_min(booked_by, ce_sequence) as booked_by,
        arg_min(specialty, ce_sequence) as specialty,
        arg_min(policy_version, ce_sequence) as policy_version,
        min(ce_time) filter (fact = 'SessionRequested') as requested_at,
        min(ce_time) filter (fact = 'SessionConfirmed') as confirmed_at,
        max(ce_time) filter (fact in ('SessionCompleted', 'ProviderMissed', 'MemberNoShow', 'OutcomeCorrected')) as ending_known_at,
        min(ce_time) filter (fact = 'ProviderMissed') as miss_published_at,
        max(missed_at) as missed_at,
        arg_max(absent_party, ce_sequence) filter (fact = 'ProviderMissed') as absent_party,
        max(cancelled_at) as cancelled_at,
        arg_max(cancelled_by, ce_sequence) filter (fact = 'SessionCancelled') as cancelled_by,
        arg_max(cause, ce_sequence) filter (fact = 'SessionCancelled') as cancel_cause,
        arg_max(forfeits, ce_sequence) filter (fact = 'SessionCancelled') as cancel_forfeits,
        arg_max(caused_by_provider, ce_sequence) filter (fact = 'SessionCancelled') as cancel_caused_by_provider,
        arg_max(reasons[1].code, ce_sequence) filter (fact = 'SessionRejected') as first_reason
    from events
    group by session_id
)

select
    latest.session_id,
    room_id,
    member_id,
    provider_id,
    venue_id,
    status,
    status in ('completed', 'provider_missed', 'member_no_show') as is_due,
    case first_ending when 'SessionCompleted' then 'completed' when 'ProviderMissed' then 'provider_missed' when 'MemberNoShow' then 'member_no_show' end
        as first_outcome,
    is_corrected,
    is_disputed,
    starts_at,
    ends_at,
    timezone(time_zone, starts_at) as local_starts_at,
    hour(timezone(time_zone, starts_at)) as local_hour,
    isodow(timezone(time_zone, starts_at)) as local_weekday,
    time_zone,
    booked_starts_at,
    length_minutes,
    extended_minutes,
    length_minutes - extended_minutes as booked_length_minutes,
    modality,
    specialty,
    booked_by,
    policy_version,
    requested_at,
    confirmed_at,
    date_diff('minute', requested_at, booked_starts_at) / 60.0 as lead_hours,
    moves,
    extensions,
    ending_known_at,
    miss_published_at,
    missed_at,
    if(status = 'provider_missed', absent_party, null) as absent_party,
    cancelled_at,
    cancelled_by,
    cancel_cause,
    cancel_forfeits,
    cancel_caused_by_provider,
    date_diff('minute', cancelled_at, starts_at) / 60.0 as cancel_notice_hours,
    first_reason
from latest
inner join folded using (session_id)
