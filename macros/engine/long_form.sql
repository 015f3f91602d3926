{% macro long_form(relation, numbers, categories) -%}
    {#- A wide relation with one row per row and feature: `feature_name`, `number_value` (double, booleans as 0 and 1),
        `category_value` (text); NULL stays NULL.
        Arguments: relation (a table, or a query in parentheses), numbers, categories (lists of its columns).
        Variants differ in how an engine makes rows of an array of structs. -#}
    {{ return(adapter.dispatch('long_form')(relation, numbers, categories)) }}
{%- endmacro %}

{% macro duckdb__long_form(relation, numbers, categories) -%}
    select unnest(
        [
            {%- for column in numbers + categories %}
            {
                'feature_name': '{{ column }}',
                'number_value': cast({{ adapter.quote(column) if column in numbers else 'null' }} as double),
                'category_value': cast({{ adapter.quote(column) if column in categories else 'null' }} as varchar)
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ],
        recursive := true
    )
    from {{ relation }} as wide_rows
{%- endmacro %}

{% macro spark__long_form(relation, numbers, categories) -%}
    select inline(
        array(
            {%- for column in numbers + categories %}
            named_struct(
                'feature_name', '{{ column }}',
                'number_value', cast({{ adapter.quote(column) if column in numbers else 'null' }} as double),
                'category_value', cast({{ adapter.quote(column) if column in categories else 'null' }} as string)
            ){{ ',' if not loop.last }}
            {%- endfor %}
        )
    )
    from {{ relation }} as wide_rows
{%- endmacro %}
