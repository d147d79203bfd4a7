-- One row for each member of a room, of a plan or of a ledger.
with

members as (
    select member_id from {{ ref('stg_booking__rooms') }}
    union select member_id from {{ ref('stg_booking__sessions') }}
    union select member_id from {{ ref('stg_credits__enrolments') }}
    union select member_id from {{ ref('stg_credits__ledger') }} where member_id is not null
    union select member_id from {{ ref('stg_availability__schedules') }} where member_id is not null
),

enrolled as (
    select
        member_id,
        arg_max(plan_id, ce_sequence) as plan_id,
        arg_max(plan_kind, ce_sequence) as plan_kind,
        count(*) as enrolments,
        min(starts_on) as first_starts_on
    from {{ ref('stg_credits__enrolments') }}
    where fact = 'MemberEnrolled'
    group by member_id
),

erased as (select person_id as member_id, max(erased_at) as erased_at from {{ ref('stg_notifications__people') }} where fact = 'PersonErased' group by person_id)

select
    member_id,
    plan_id,
    plan_kind,
    coalesce(enrolments, 0) as enrolments,
    first_starts_on,
    erased_at is not null as is_erased
from members
left join enrolled using (member_id)
left join erased using (member_id)
