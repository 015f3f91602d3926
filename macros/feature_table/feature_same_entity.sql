{% macro feature_same_entity(settings, left, right) -%}
    {#- Join condition: the rows of two relations are of one entity. -#}
    {%- for key in settings.entity_keys -%}
        {{ left }}.{{ key }} = {{ right }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
