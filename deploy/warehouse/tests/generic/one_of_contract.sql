{#- Only values that the contract of a field knows, such as `booking_sessions__modality`, and those in `also`. -#}
{% test one_of_contract(model, column_name, field, also=[]) %}
{{ test_accepted_values(model, column_name, contract_values(field) + also) }}
{% endtest %}
