-- One row for each message to one person by one channel that was handed over or given up.
select
    delivery_id,
    arg_max(person_id, ce_sequence) as person_id,
    arg_max(channel, ce_sequence) as channel,
    arg_max(template, ce_sequence) as template,
    arg_max(session_id, ce_sequence) as session_id,
    arg_max(if(fact = 'MessageDelivered', 'delivered', 'failed'), ce_sequence) as status,
    arg_max(failure, ce_sequence) filter (failure is not null) as failure,
    max(delivered_at) as delivered_at,
    max(ce_time) as published_at
from {{ ref('stg_notifications__deliveries') }}
group by delivery_id
