{#- Schemas have the names that the project gives them, without the profile's schema in front. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
{{ custom_schema_name or target.schema }}
{%- endmacro %}
