{% macro feature_hash(columns, relation) -%}
    {#- A digest of feature values, the same on every engine and in every order of computing: floating point numbers
        count to nine decimals, NULL is a value of its own.
        Arguments: columns ([{name, type}]), relation (the alias that holds them). -#}
    md5(concat_ws('|'
        {%- for column in columns %},
        coalesce(
            {%- if column.type in ('DOUBLE', 'FLOAT') %}
            cast(cast({{ relation }}.{{ column.name }} as decimal(38, 9)) as varchar)
            {%- else %}
            cast({{ relation }}.{{ column.name }} as varchar)
            {%- endif %}, '~'
        )
        {%- endfor %}
    ))
{%- endmacro %}
