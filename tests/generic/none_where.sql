{% test none_where(model, condition) -%}
    {#- No row fulfils the condition; those that do are what the test returns. -#}
    select *
    from {{ model }}
    where {{ condition }}
{%- endtest %}
