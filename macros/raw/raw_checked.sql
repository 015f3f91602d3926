{% macro raw_checked(source_name, table_name) -%}
    {#- A raw table, cast to its contract, each row with `quarantine_reason`: NULL where the row keeps
        every rule of the sources' YAML, else the first rule it breaks. Rows that the build may not see
        yet (`loaded_at >= as_of`) are left out; rows whose time cannot be told are kept, as broken.
        Of rows with one key the first to be loaded is kept, the others are duplicates.
        Arguments: source_name, table_name.
        Use: through `raw_rows` (staging) and `raw_rejects` (quarantine). -#}
    {%- set types = raw_types(raw(source_name, table_name)) -%}
    {%- set build = ref('this_build') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set key = [] -%}
    {%- for name in table.meta.key -%} {%- do key.append('ruled.' ~ adapter.quote(name)) -%} {%- endfor -%}
    {%- set order = ['ruled.loaded_at'] -%}
    {%- for name in table.columns if name | lower in types or name != 'loaded_at' -%}
        {%- do order.append('ruled.' ~ adapter.quote('raw_' ~ name)) -%}
    {%- endfor -%}
    with
    ruled as (
        select * from ({{ raw_ruled(source_name, table_name) }}) as every_row
        where {{ is_visible('every_row') }}
    ),

    counted as (
        select
            ruled.*,
            row_number() over (
                partition by ruled.broken_rule, {{ key | join(', ') }}
                order by {{ order | join(', ') }}
            ) as repetition
        from ruled
    ),

    checked as (
        select
            counted.*,
            case
                when counted.broken_rule is not null then counted.broken_rule
                when counted.repetition > 1
                    then {{ text_literal('duplicate key (' ~ table.meta.key | join(', ') ~ ')') }}
            end as quarantine_reason
        from counted
    )

    select * from checked
{%- endmacro %}
