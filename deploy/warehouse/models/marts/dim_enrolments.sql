-- One row for each enrolment: a member's plan from one day to another, in the plan's time zone.
select
    enrolment_id,
    any_value(member_id) as member_id,
    any_value(plan_id) as plan_id,
    max(plan_kind) as plan_kind,
    arg_max(starts_on, ce_sequence) filter (fact = 'MemberEnrolled') as starts_on,
    arg_max(ends_on, ce_sequence) filter (fact = 'MemberEnrolled') as ends_on,
    max(ended_on) as ended_on,
    max(time_zone) as time_zone,
    max(live_credits) as live_credits,
    max(period_months) as period_months
from {{ ref('stg_credits__enrolments') }}
group by enrolment_id
