{% macro raw_rejects(source_name, table_name) -%}
    {#- The rows of a raw table that break its contract: table, reason, the row as JSON, its times.
        Arguments: source_name, table_name.
        Use: in the model `quarantine`, once per table of the contract. -#}
    {%- set checked = raw_checked(source_name, table_name) -%}
    {%- if not execute -%} {{ return(checked) }} {%- endif -%}
    select
        '{{ source_name }}.{{ table_name }}' as table_name,
        rejected.quarantine_reason,
        {{ row_as_json('rejected.raw_row') }} as raw_row,
        rejected.recorded_at,
        rejected.loaded_at
    from ({{ checked }}) as rejected
    where rejected.quarantine_reason is not null
{%- endmacro %}
