-- How likely is it that the member does not come? For each session that took place or should have, from what was known before it
-- started, and for each one that is ahead. A share of earlier no-shows, of the member and of sessions like it, drawn towards the
-- share of all by {{ var('prior_sessions', 10) }} sessions' weight: a new member has the risk of everybody.
with

sessions as (
    select
        session_id,
        member_id,
        provider_id,
        starts_at,
        status,
        is_due,
        lead_hours,
        local_hour,
        (status = 'member_no_show')::int as no_show,
        is_due::int as due,
        case when lead_hours < 48 then 'under 2 days' when lead_hours < 168 then '2 to 7 days' else 'over 7 days' end
            || ', ' || case when local_hour < 12 then 'morning' when local_hour < 17 then 'afternoon' else 'evening' end as kind
    from {{ ref('fct_sessions') }}
    -- Ahead, or with an ending that says whether the member came.
    where is_due and status <> 'provider_missed' or status in ('reserved', 'confirmed')
),

before as (
    select
        *,
        coalesce(sum(no_show) over everybody, 0) as all_no_shows,
        coalesce(sum(due) over everybody, 0) as all_due,
        coalesce(sum(no_show) over same_kind, 0) as kind_no_shows,
        coalesce(sum(due) over same_kind, 0) as kind_due,
        coalesce(sum(no_show) over same_member, 0) as member_no_shows,
        coalesce(sum(due) over same_member, 0) as member_due
    from sessions
    window
        everybody as (order by starts_at range between unbounded preceding and interval 1 microsecond preceding),
        same_kind as (partition by kind order by starts_at range between unbounded preceding and interval 1 microsecond preceding),
        same_member as (partition by member_id order by starts_at range between unbounded preceding and interval 1 microsecond preceding)
),

shares as (
    select
        *,
        -- One no-show in twenty, until there is experience.
        (all_no_shows + 0.5) / (all_due + 10) as share_of_all
    from before
),

kinds as (
    select *, (kind_no_shows + 10 * share_of_all) / (kind_due + 10) as share_of_kind from shares
)

select
    session_id,
    member_id,
    provider_id,
    starts_at,
    status,
    not is_due as is_ahead,
    lead_hours,
    kind,
    member_due as earlier_sessions,
    member_no_shows as earlier_no_shows,
    (member_no_shows + 10 * share_of_kind) / (member_due + 10) as risk,
    if(is_due, no_show, null) as came_true
from kinds
