-- One row for each session that its provider missed: how soon the credit was back, the member was told, and they met again.
with

missed as (
    select * from {{ ref('fct_sessions') }} where miss_published_at is not null
),

returned as (
    select session_id, min(returned_at) as returned_at from {{ ref('fct_credit_holds') }} where returned_at is not null group by session_id
),

voided as (
    select session_id, min(voided_at) as voided_at from {{ ref('fct_invoices') }} where voided_at is not null group by session_id
),

told as (
    select deliveries.session_id, min(deliveries.published_at) as told_at
    from {{ ref('fct_deliveries') }} as deliveries
    inner join missed
        on missed.session_id = deliveries.session_id
        and missed.member_id = deliveries.person_id
        and deliveries.published_at >= missed.miss_published_at
    where deliveries.status = 'delivered' and deliveries.channel = 'email'
    group by deliveries.session_id
),

met_again as (
    select missed.session_id, min(later.starts_at) as met_again_at
    from missed
    inner join {{ ref('fct_sessions') }} as later
        on later.member_id = missed.member_id and later.status = 'completed' and later.starts_at > missed.starts_at
    group by missed.session_id
)

select
    missed.session_id,
    missed.member_id,
    missed.provider_id,
    missed.room_id,
    missed.starts_at,
    missed.missed_at,
    missed.status,
    -- What came back before the miss was of an earlier change of the session.
    coalesce(returned.returned_at, voided.voided_at) is not null as is_made_good,
    date_diff('millisecond', missed.miss_published_at, coalesce(returned.returned_at, voided.voided_at)) / 1000.0 as seconds_to_credit,
    date_diff('millisecond', missed.miss_published_at, told.told_at) / 1000.0 as seconds_to_email,
    date_diff('hour', missed.starts_at, met_again.met_again_at) / 24.0 as days_to_next_session
from missed
left join returned using (session_id)
left join voided using (session_id)
left join told using (session_id)
left join met_again using (session_id)
