{% macro current_values(use_case, features) -%}
    {#- How often each value of each feature of the champion is in the population of `as_of`: who is scored, with what
        was known of them, by the join that training and scoring use.

        Arguments
            use_case: name. features: {name of the join: feature table's model}, as training has them.
        Gives `use_case`, `feature_name`, `number_value`, `category_value`, `row_count`; no rows without a champion. -#}
    {%- set relations = {} -%}
    {%- for name, model in features.items() -%}
        {#- the join decides what held at `as_of`, but need not read years of versions that cannot -#}
        {%- do relations.update({
            name: '(select * from ' ~ ref(model) ~ ' where valid_from <= ' ~ as_of() ~ ' and valid_to > ' ~ as_of() ~ ')'
        }) -%}
    {%- endfor -%}
    {%- set spine = ref('label_' ~ use_case) -%}
    {%- set training = ref('monitor_training_values') -%}
    {%- if not execute -%} {{ return('') }} {%- endif -%}
    {%- set wanted = [] -%}
    {%- if load_relation(training) is not none -%}
        {%- set wanted = run_query(
            "select distinct feature_name from " ~ training ~ " where use_case = '" ~ use_case ~ "' order by 1"
        ).columns[0].values() | list -%}
    {%- endif -%}
    {%- if not wanted -%}
        {{ return(
            "select cast(null as " ~ dbt.type_string() ~ ") as use_case, cast(null as " ~ dbt.type_string()
            ~ ") as feature_name, cast(null as double) as number_value, cast(null as " ~ dbt.type_string()
            ~ ") as category_value, cast(null as bigint) as row_count where 1 = 0"
        ) }}
    {%- endif -%}
    {%- set keys = use_case_meta(use_case).entity_keys -%}
    {%- set population -%}
        (select {{ keys | join(', ') }}, cutoff from {{ spine }} where label is null)
    {%- endset -%}
    {%- set joined = point_in_time_join(population, relations, keys, 'cutoff', known_at='cutoff') -%}
    {%- set numbers, categories = [], [] -%}
    {%- for column in columns_of_query(joined) if column.name in wanted -%}
        {%- set text = column.type | lower in ('varchar', 'string', 'text') -%}
        {%- do (categories if text else numbers).append(column.name) -%}
    {%- endfor -%}
    select
        '{{ use_case }}' as use_case,
        long_rows.feature_name,
        long_rows.number_value,
        long_rows.category_value,
        count(*) as row_count
    from (
        {{ long_form('(' ~ joined ~ ')', numbers, categories) }}
    ) as long_rows
    group by long_rows.feature_name, long_rows.number_value, long_rows.category_value
{%- endmacro %}
