{#-
    The events of one topic, each once: Kafka may deliver an event twice, and a restore leaves events behind that no service
    knows any more. A topic that never had an event has no table in an export; a field that is new has no column in an older one.
-#}
{% macro events(table, fields) %}
{%- set envelope = {
    'ce_id': 'VARCHAR', 'fact': 'VARCHAR', 'ce_subject': 'VARCHAR', 'ce_sequence': 'BIGINT', 'ce_time': 'TIMESTAMPTZ',
    'kafka_partition': 'INTEGER', 'kafka_offset': 'BIGINT',
} -%}
{%- set relation = source('export', table) -%}
{%- set withdrawn = ref('stg_withdrawn_events') -%}
{%- set there = [] -%}
{%- if execute and load_relation(relation) is not none -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}{%- do there.append(column.name) -%}{%- endfor -%}
{%- endif -%}
select
{%- for name, type in dict(envelope, **fields).items() %}
    {{ '"' ~ name ~ '"' if name in there else 'null::' ~ type ~ ' as "' ~ name ~ '"' }}{{ ',' if not loop.last }}
{%- endfor %}
from {{ relation if there else '(select 1 where false)' }}
{%- if there %}
where ce_id not in (select event_id from {{ withdrawn }})
qualify row_number() over (partition by ce_id order by kafka_partition, kafka_offset) = 1
{%- endif %}
{% endmacro %}
