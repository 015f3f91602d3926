{% macro raw_ruled(source_name, table_name) -%}
    {#- Every row of a raw table, cast to its contract, each with `broken_rule`: NULL where the row keeps every rule of the
        sources' YAML that one row alone can break, else the first that it breaks. Beside each column of the contract
        stands what came, `raw_<column>`.
        Arguments: source_name, table_name.
        Use: `from ({{ raw_ruled('siakad', 'nilai') }}) as ruled`.
        Example, of one required column:
            select
                typed.*,
                case
                    when typed."raw_tanggal" is null then 'missing tanggal'
                    when typed."raw_tanggal" is not null and typed."tanggal" is null
                        then 'unreadable tanggal: no date'
                    when typed."tanggal" < timestamp '1950-01-01' then 'tanggal before 1950-01-01'
                end as broken_rule
            from typed -#}
    {%- set relation = raw(source_name, table_name) -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- if table is none -%} {{ return('select 1 as parsing') }} {%- endif -%}
    {%- set types = raw_types(relation) -%}
    {%- set event_time = table.meta.get('event_time') -%}
    {%- set happened = [event_time, 'recorded_at', 'loaded_at'] -%}
    {%- set years_ahead = var('plausible_years_ahead') | int -%}
    {%- set texts, values = {}, {} -%}
    {%- for name, column in table.columns.items() -%}
        {%- set type = types.get(name | lower, 'VARCHAR') -%}
        {%- set text = 'untyped.' ~ adapter.quote('raw_' ~ name) -%}
        {%- if name | lower in types or name != 'loaded_at' -%}
            {%- do texts.update({'raw_' ~ name: raw_text('came.' ~ adapter.quote(name), type)}) -%}
        {%- endif -%}
        {%- if name != 'loaded_at' -%} {%- do values.update({name: try_cast_raw(text, column.data_type, type)}) -%} {%- endif -%}
    {%- endfor -%}
    {%- do texts.update({'raw_row': 'came.raw_row'}) -%}
    {%- do values.update({'loaded_at': raw_loaded_at('untyped', types)}) -%}
    {%- set broken_rule -%}
        case
            {%- for name, column in table.columns.items() %}
            {%- set meta = column.meta %}
            {%- set value = 'typed.' ~ adapter.quote(name) %}
            {%- set came = 'typed.' ~ adapter.quote('raw_' ~ name) %}
            {%- set is_text = column.data_type == 'varchar' and raw_kind(types.get(name | lower, 'VARCHAR')) == 'text' %}
            {%- if meta.get('required') %}
            when {{ came }} is null then {{ text_literal('missing ' ~ name) }}
            {%- endif %}
            {%- if not is_text and (name | lower in types or name != 'loaded_at') %}
            when {{ came }} is not null and {{ value }} is null
                then {{ text_literal('unreadable ' ~ name ~ ': no ' ~ column.data_type) }}
            {%- endif %}
            {%- if meta.get('allowed') %}
            {%- set allowed = [] %}
            {%- for word in meta.allowed %} {%- do allowed.append(text_literal(word | string)) %} {%- endfor %}
            when {{ value }} not in ({{ allowed | join(', ') }}) then {{ text_literal('unknown ' ~ name) }}
            {%- endif %}
            {%- if column.data_type in ('date', 'timestamp') %}
            {%- set earliest = plausible_from(meta.get('min')) %}
            when {{ value }} < timestamp '{{ earliest }} 00:00:00'
                then {{ text_literal(name ~ ' before ' ~ earliest) }}
            {%- if name not in happened %}
            when {{ value }} > {{ build_started_at() }} + interval '{{ years_ahead }}' year
                then {{ text_literal(name ~ ' more than ' ~ years_ahead ~ ' years ahead') }}
            {%- endif %}
            {%- else %}
            {%- if meta.get('min') is not none %}
            when {{ value }} < {{ meta.min }} then {{ text_literal(name ~ ' below ' ~ meta.min) }}
            {%- endif %}
            {%- if meta.get('max') is not none %}
            when {{ value }} > {{ meta.max }} then {{ text_literal(name ~ ' above ' ~ meta.max) }}
            {%- endif %}
            {%- endif %}
            {%- endfor %}
            {%- if event_time %}
            when typed.{{ adapter.quote(event_time) }} > typed.recorded_at
                then {{ text_literal(event_time ~ ' after recorded_at') }}
            {%- endif %}
            when typed.recorded_at > typed.loaded_at then 'recorded_at after loaded_at'
            when typed.loaded_at > {{ build_started_at() }} then 'loaded_at in the future'
        end
    {%- endset -%}
    with
    came as (
        select
            {%- for name in table.columns if name | lower in types or name != 'loaded_at' %}
            source_rows.{{ adapter.quote(name) }},
            {%- endfor %}
            {{ row_struct('source_rows') }} as raw_row
        from {{ relation }} as source_rows
    ),

    untyped as (
        {{ computed_once('came', texts, keeps_rows=false) }}
    ),

    typed as (
        {{ computed_once('untyped', values) }}
    ),

    ruled as (
        {{ computed_once('typed', {'broken_rule': broken_rule}) }}
    )

    select * from ruled
{%- endmacro %}
