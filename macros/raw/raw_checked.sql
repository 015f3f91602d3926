{% macro raw_checked(source_name, table_name) -%}
    {#- A raw table, cast to its contract, each row with `quarantine_reason`: NULL where the row keeps
        every rule of the sources' YAML, else the first rule it breaks. Rows that the build may not see
        yet (`loaded_at >= as_of`) are left out; rows whose time cannot be told are kept, as broken.
        Arguments: source_name, table_name.
        Use: through `raw_rows` (staging) and `raw_rejects` (quarantine). -#}
    {%- set relation = raw(source_name, table_name) -%}
    {%- set build = ref('this_build') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set has_loaded_at = has_column(relation, 'loaded_at') -%}
    {%- set event_time = table.meta.get('event_time') -%}
    select
        checked.*
    from (
        select
            ruled.*,
            case
                when ruled.broken_rule is not null then ruled.broken_rule
                when row_number() over (
                    partition by {{ table.meta.key | join(', ') }}, ruled.broken_rule is null
                    order by ruled.loaded_at
                    {%- for name in table.columns %}, ruled.raw_{{ name }}{% endfor %}
                ) > 1 then 'duplicate key ({{ table.meta.key | join(', ') }})'
            end as quarantine_reason
        from (
            select
                typed.*,
                case
                    {%- for name, column in table.columns.items() %}
                    {%- set meta = column.meta %}
                    {%- if meta.get('required') %}
                    when typed.raw_{{ name }} is null then 'missing {{ name }}'
                    {%- endif %}
                    {%- if column.data_type != 'varchar' %}
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
            from (
                select
                    {%- for name, column in table.columns.items() if name != 'loaded_at' %}
                    untyped.raw_{{ name }},
                    {{ try_cast_raw('untyped.raw_' ~ name, column.data_type) }} as {{ name }},
                    {%- endfor %}
                    untyped.raw_loaded_at,
                    {{ try_cast_raw('untyped.raw_loaded_at', 'timestamp') }} as loaded_at,
                    untyped.raw_row
                from (
                    select
                        {%- for name in table.columns if name != 'loaded_at' %}
                        {{ raw_text('source_rows.' ~ name) }} as raw_{{ name }},
                        {%- endfor %}
                        {%- set loaded_at = 'source_rows.loaded_at' if has_loaded_at else 'null' %}
                        coalesce({{ raw_text(loaded_at) }}, {{ raw_text('source_rows.recorded_at') }})
                            as raw_loaded_at,
                        {{ row_as_json('source_rows') }} as raw_row
                    from {{ relation }} as source_rows
                ) as untyped
            ) as typed
            where
                typed.loaded_at is null
                or typed.recorded_at is null
                or typed.loaded_at < {{ as_of() }}
                or typed.loaded_at > {{ build_started_at() }}
        ) as ruled
    ) as checked
{%- endmacro %}
