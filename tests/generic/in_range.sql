{% test in_range(model, column_name, minimum, maximum) -%}
    {#- A value lies between two bounds, both included. -#}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} < {{ minimum }} or {{ column_name }} > {{ maximum }}
{%- endtest %}
