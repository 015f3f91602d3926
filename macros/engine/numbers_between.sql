{% macro numbers_between(relation, first, last, name) -%}
    {#- Every row of `relation` once per whole number from `first` to `last`, both included, as column `name`
        beside the relation's own columns. A row whose first is above its last gives nothing.
        Arguments: relation (a CTE), first, last (integer SQL expressions over it), name.
        Variants differ in how an engine makes rows of an array. -#}
    {{ return(adapter.dispatch('numbers_between')(relation, first, last, name)) }}
{%- endmacro %}

{% macro duckdb__numbers_between(relation, first, last, name) -%}
    select
        {{ relation }}.*,
        cast(unnest(generate_series({{ first }}, {{ last }})) as integer) as {{ name }}
    from {{ relation }}
{%- endmacro %}

{% macro spark__numbers_between(relation, first, last, name) -%}
    select
        {{ relation }}.*,
        numbers.{{ name }}
    from {{ relation }}
    lateral view explode(
        case when {{ first }} <= {{ last }} then sequence(cast({{ first }} as integer), cast({{ last }} as integer)) end
    ) numbers as {{ name }}
{%- endmacro %}
