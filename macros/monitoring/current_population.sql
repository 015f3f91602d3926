{% macro current_population(use_case) -%}
    {#- Who is scored at `as_of`, and who was asked about a year before (`asked_last_year`), each with the champion's
        features as they were known at that instant, by the join that training and scoring use, and what is known ahead:
        the entity's keys, `cutoff` (the instant), the features. Without a champion only the keys and `cutoff`.
        Arguments: use_case (name).
        Use: as a model of its own, `monitor_population_<use case>`: what reads it reads it many times. -#}
    {%- set relations = {} -%}
    {%- for name, model in monitored_use_cases()[use_case].items() -%}
        {#- the join decides what held at an instant, but need not read years of versions that cannot -#}
        {%- set held = [] -%}
        {%- for instant in (as_of(), last_year()) -%}
            {%- do held.append('(valid_from <= ' ~ instant ~ ' and valid_to > ' ~ instant ~ ')') -%}
        {%- endfor -%}
        {%- do relations.update({name: '(select * from ' ~ ref(model) ~ ' where ' ~ held | join(' or ') ~ ')'}) -%}
    {%- endfor -%}
    {%- set spine = ref('label_' ~ use_case) -%}
    {%- set wanted = monitored_features(ref('monitor_training_' ~ use_case)) -%}
    {%- if not execute -%} {{ return('') }} {%- endif -%}
    {%- set keys = use_case_meta(use_case).entity_keys -%}
    {%- set beside = use_case_meta(use_case).get('known_ahead', []) | list -%}
    {%- set sides = use_case_meta(use_case).get('join_key_map', {}) -%}
    {%- for columns in sides.values() -%}
        {%- do beside.extend(columns.values() | reject('in', keys + beside)) -%}
    {%- endfor -%}
    {%- set population -%}
        (
            select {{ (keys + beside) | join(', ') }}, cutoff from {{ spine }} where cutoff = {{ as_of() }}
            union all
            {{ asked_last_year(spine, keys, keys + beside) }}
        )
    {%- endset -%}
    {%- if not wanted -%} {{ return('select * from ' ~ population ~ ' as population') }} {%- endif -%}
    select
        {%- for column in keys + ['cutoff'] %}
        {{ column }},
        {%- endfor %}
        {%- for column in wanted %}
        {{ adapter.quote(column) }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        {{ point_in_time_join(population, relations, keys, 'cutoff', known_at='cutoff', join_key_map=sides) }}
    ) as joined
{%- endmacro %}
