-- The moment for which questions about "now" are answered. On a platform whose clock was moved, it is ahead of real time.
{% if var('as_of') %}
select timestamptz '{{ var('as_of') }}' as as_of
{% else %}
select coalesce(greatest(
    (select max(greatest(ce_time, missed_at, joined_at, left_at, cancelled_at, moved_at)) from {{ ref('stg_booking__sessions') }}),
    (select max(greatest(ce_time, paid_at)) from {{ ref('stg_credits__ledger') }}),
    (select max(ce_time) from {{ ref('stg_availability__schedules') }}),
    (select max(greatest(ce_time, delivered_at)) from {{ ref('stg_notifications__deliveries') }})
), now()) as as_of
{% endif %}
