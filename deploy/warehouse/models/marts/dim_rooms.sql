-- One row for each room: the lasting pair of a member and a provider.
select
    room_id,
    arg_max(member_id, ce_sequence) as member_id,
    arg_max(provider_id, ce_sequence) as provider_id,
    if(arg_max(fact, ce_sequence) in ('RoomClosed', 'ProviderChanged'), 'closed', 'active') as status,
    min(opened_at) as opened_at,
    max(closed_at) as last_closed_at,
    max(new_room_id) as replaced_by_room_id,
    count(*) filter (fact = 'RoomRestarted') as restarts
from {{ ref('stg_booking__rooms') }}
group by room_id
