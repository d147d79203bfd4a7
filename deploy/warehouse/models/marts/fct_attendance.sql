-- One row for each party of each session that took place or should have.
with

visits as (
    select
        session_id,
        party,
        ce_sequence,
        fact,
        how,
        coalesce(joined_at, left_at) as at,
        lead(left_at) over (partition by session_id, party order by ce_sequence) as until
    from {{ ref('stg_booking__sessions') }}
    where fact in ('SessionJoined', 'SessionLeft')
),

parties as (
    select session_id, party, room_id, member_id, provider_id, starts_at, ends_at, status, absent_party
    from {{ ref('fct_sessions') }}, (values ('member'), ('provider')) as parties (party)
    where is_due
),

joined as (
    select
        parties.session_id,
        parties.party,
        min(visits.at) as first_joined_at,
        max(coalesce(visits.until, parties.ends_at)) filter (visits.at is not null) as last_left_at,
        -- Who left before the start was not present.
        coalesce(bool_or(visits.until is null or visits.until > parties.starts_at) filter (visits.at is not null), false) as is_present,
        coalesce(sum(greatest(0, date_diff(
            'second', greatest(visits.at, parties.starts_at), least(coalesce(visits.until, parties.ends_at), parties.ends_at)
        ))) filter (visits.at is not null), 0) / 60.0 as present_minutes,
        any_value(visits.how) as how
    from parties
    left join visits on visits.session_id = parties.session_id and visits.party = parties.party and visits.fact = 'SessionJoined'
    group by parties.session_id, parties.party
)

select
    session_id || ':' || party as attendance_id,
    session_id,
    party,
    if(party = 'member', member_id, provider_id) as person_id,
    starts_at,
    status,
    first_joined_at,
    last_left_at,
    is_present,
    present_minutes,
    greatest(0, date_diff('second', starts_at, first_joined_at)) / 60.0 as late_minutes,
    how
from parties
inner join joined using (session_id, party)
