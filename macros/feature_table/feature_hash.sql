{% macro feature_hash(columns, relation) -%}
    {#- A digest of feature values, the same on every engine and in every order of computing: floating point numbers
        count to nine decimals, NULL is a value of its own. Texts are quoted, so that rows of other values are other
        texts, whatever stands in them: `~` is not NULL, and `a|b`, `c` is not `a`, `b|c`.
        A feature that counts days from `<feature>__since` is that instant, and its own value only where there is none.
        Arguments: columns ([{name, type}]), relation (the alias that holds them). -#}
    {%- set names = columns | map(attribute='name') | list -%}
    md5(concat_ws('|'
        {%- for column in columns %}
        {%- set value = relation ~ '.' ~ column.name -%}
        {%- if column.name ~ '__since' in names -%}
        {%- set value = 'case when ' ~ value ~ '__since is null then ' ~ value ~ ' end' -%}
        {%- endif %},
        coalesce(
            {%- if column.type in ('DOUBLE', 'FLOAT') %}
            {{ decimal_text(value) }}
            {%- elif column.type in ('BOOLEAN', 'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'DATE', 'TIMESTAMP') %}
            cast({{ value }} as string)
            {%- else %}
            '"' || replace(cast({{ value }} as string), '"', '""') || '"'
            {%- endif %}, '~'
        )
        {%- endfor %}
    ))
{%- endmacro %}
