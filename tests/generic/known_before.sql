{% test known_before(model, earlier, later) -%}
    {#- One instant lies before another in every row: what a prediction rests on was recorded before it was made. -#}
    select
        {{ earlier }},
        {{ later }}
    from {{ model }}
    where {{ earlier }} >= {{ later }}
{%- endtest %}
