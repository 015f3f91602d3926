{% test raw_contract(model, source_name, table_name) -%}
    {#- A raw table has every column of its contract. A column that the contract calls optional may miss. -#}
    {#- `raw` and not `model`: where seeds are the raw data, the test waits for them. -#}
    {%- set relation = raw(source_name, table_name) -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- set types = raw_types(relation) -%}
    {%- set missing = [] -%}
    {%- if table is not none -%}
        {%- for name, column in table.columns.items() if not column.meta.get('optional_column') -%}
            {%- if name not in types -%} {%- do missing.append(name) -%} {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for name in missing %}
    select '{{ name }}' as missing_column
    union all
    {%- endfor %}
    select 'none' as missing_column
    where false
{%- endtest %}
