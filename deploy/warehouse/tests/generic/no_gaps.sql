{#- An entity's events count up by one. A gap means that an event was lost; a repetition, that withdrawn events were kept. -#}
{% test no_gaps(model, column_name) %}
select *
from (
    select
        ce_subject,
        {{ column_name }} as number,
        lag({{ column_name }}) over (partition by ce_subject order by {{ column_name }}) as before
    from {{ model }}
)
where number <> before + 1
{% endtest %}
