{% macro raw_checked(source_name, table_name) -%}
    {#- A raw table, cast to its contract, each row with `quarantine_reason`: NULL where the row keeps
        every rule of the sources' YAML, else the first rule it breaks. Rows that the build may not see
        yet (`loaded_at >= as_of`) are left out; rows whose time cannot be told are kept, as broken.
        Of rows with one key the first to be loaded is kept, the others are duplicates.
        Arguments: source_name, table_name.
        Use: through `raw_rows` (staging) and `raw_rejects` (quarantine). -#}
    {%- set relation = raw(source_name, table_name) -%}
    {%- set build = ref('this_build') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set types = raw_types(relation) -%}
    {%- set event_time = table.meta.get('event_time') -%}
    {%- set order = ['loaded_at'] -%}
    {%- for name in table.columns if name in types or name != 'loaded_at' -%} {%- do order.append('raw_' ~ name) -%} {%- endfor -%}
    with
    untyped as (
        select
            {%- for name in table.columns if name in types or name != 'loaded_at' %}
            {{ raw_text('source_rows.' ~ name, types.get(name, 'VARCHAR')) }} as raw_{{ name }},
            {%- endfor %}
            {{ row_struct('source_rows') }} as raw_row
        from {{ relation }} as source_rows
    ),

    typed as (
        select
            untyped.*,
            {%- for name, column in table.columns.items() if name != 'loaded_at' %}
            {{ try_cast_raw('untyped.raw_' ~ name, column.data_type, types.get(name, 'VARCHAR')) }} as {{ name }},
            {%- endfor %}
            {{ raw_loaded_at('untyped', types) }} as loaded_at
        from untyped
    ),

    ruled as (
        select
            typed.*,
            case
                {%- for name, column in table.columns.items() %}
                {%- set meta = column.meta %}
                {%- if meta.get('required') %}
                when typed.raw_{{ name }} is null then 'missing {{ name }}'
                {%- endif %}
                {%- if column.data_type != 'varchar' and (name in types or name != 'loaded_at') %}
                when typed.raw_{{ name }} is not null and typed.{{ name }} is null
                    then 'unreadable {{ name }}: no {{ column.data_type }}'
                {%- endif %}
                {%- if meta.get('allowed') %}
                when typed.{{ name }} not in ('{{ meta.allowed | join("', '") }}') then 'unknown {{ name }}'
                {%- endif %}
                {%- if meta.get('min') is not none %}
                when typed.{{ name }} < {{ meta.min }} then '{{ name }} below {{ meta.min }}'
                {%- endif %}
                {%- if meta.get('max') is not none %}
                when typed.{{ name }} > {{ meta.max }} then '{{ name }} above {{ meta.max }}'
                {%- endif %}
                {%- endfor %}
                {%- if event_time %}
                when typed.{{ event_time }} > typed.recorded_at then '{{ event_time }} after recorded_at'
                {%- endif %}
                when typed.recorded_at > typed.loaded_at then 'recorded_at after loaded_at'
                when typed.loaded_at > {{ build_started_at() }} then 'loaded_at in the future'
            end as broken_rule
        from typed
        where {{ is_visible('typed') }}
    ),

    counted as (
        select
            ruled.*,
            row_number() over (
                partition by ruled.broken_rule, {{ table.meta.key | join(', ') }}
                order by {% for name in order %}ruled.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
            ) as repetition
        from ruled
    ),

    checked as (
        select
            counted.*,
            case
                when counted.broken_rule is not null then counted.broken_rule
                when counted.repetition > 1 then 'duplicate key ({{ table.meta.key | join(', ') }})'
            end as quarantine_reason
        from counted
    )

    select * from checked
{%- endmacro %}
