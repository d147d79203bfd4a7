-- The ids of events that a restore withdrew; none unless the variable `withdrawn` names a file.
{% if var('withdrawn') %}
select distinct event_id
from read_csv('{{ var('withdrawn') | replace("'", "''") }}', header = true, columns = {'event_id': 'VARCHAR'})
where event_id is not null
{% else %}
select null::varchar as event_id where false
{% endif %}
