{% macro feature_hash(columns, relation) -%}
    {#- A digest of feature values, the same on every engine and in every order of computing: floating point numbers
        count to nine decimals, NULL is a value of its own. Texts are quoted, so that rows of other values are other
        texts, whatever stands in them: `~` is not NULL, and `a|b`, `c` is not `a`, `b|c`.
        Arguments: columns ([{name, type}]), relation (the alias that holds them). -#}
    md5(concat_ws('|'
        {%- for column in columns %},
        coalesce(
            {%- if column.type in ('DOUBLE', 'FLOAT') %}
            {{ decimal_text(relation ~ '.' ~ column.name) }}
            {%- elif column.type in ('BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'DATE', 'TIMESTAMP') %}
            cast({{ relation }}.{{ column.name }} as string)
            {%- else %}
            '"' || replace(cast({{ relation }}.{{ column.name }} as string), '"', '""') || '"'
            {%- endif %}, '~'
        )
        {%- endfor %}
    ))
{%- endmacro %}
