{% test share_at_most(model, condition, most) -%}
    {#- A condition holds for at most this share of the rows: more means that the model or its input is broken, not that
        the world is. -#}
    select
        count(*) as row_count,
        count(case when {{ condition }} then 1 end) as matching_count
    from {{ model }}
    having count(case when {{ condition }} then 1 end) > {{ most }} * count(*)
{%- endtest %}
