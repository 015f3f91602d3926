{% test never_null(model, columns) -%}
    {#- None of these columns is NULL in any row: `not_null` of each, in one scan. -#}
    select {{ columns | join(', ') }}
    from {{ model }}
    where {{ columns | join(' is null or ') }} is null
{%- endtest %}
