{% test primary_key(model, columns) -%}
    {#- No two rows share these columns, and none of the columns is NULL. -#}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 or {{ columns | join(' is null or ') }} is null
{%- endtest %}
