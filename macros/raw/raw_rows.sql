{% macro raw_rows(source_name, table_name) -%}
    {#- The rows of a raw table that keep its contract and are known at `as_of`, cast to its types.
        Waits for the quarantine, so that nothing is built on an extract that is broken beyond its
        threshold, or whose rows belong to students that are not there.
        Arguments: source_name, table_name.
        Use: `with siakad_nilai as ({{ raw_rows('siakad', 'nilai') }})`. -#}
    {%- do ref('quarantine') -%} {%- do ref('orphans') -%}
    {%- set table = raw_columns(source_name, table_name) -%}
    {%- set checked = raw_checked(source_name, table_name) -%}
    {%- if table is none -%} {{ return(checked) }} {%- endif -%}
    select
        {%- for name in table.columns %}
        kept.{{ adapter.quote(name) }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ({{ checked }}) as kept
    where kept.quarantine_reason is null
{%- endmacro %}
