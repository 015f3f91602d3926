{% macro top_categories() -%}
    {#- The category of highest risk of every monitored use case, as its thresholds name it, as one query: `use_case`,
        `category`.
        Renders as: select 'student_dropout' as use_case, 'High' as category -#}
    {%- for name in monitored_use_cases() %}
    {%- set ordered = use_case_meta(name).get('thresholds', {}) | dictsort(by='value') %}
    select
        '{{ name }}' as use_case,
        {{ text_literal(ordered[-1][0]) if ordered else 'null' }} as category
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
