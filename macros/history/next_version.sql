{% macro next_version(relation, key, column='recorded_at') -%}
    {#- A column of the version that follows this one: NULL for the newest. With `recorded_at` it is when this
        version stopped being the last word, which is all the history that a versioned raw table needs.
        Arguments: relation (a CTE of versions with `recorded_at`), key (list of columns), column.
        Use: `coalesce({{ next_version('krs', ['nim', 'kode_mk']) }}, {{ end_of_time() }}) as valid_to`. -#}
    lead({{ relation }}.{{ column }}) over (
        partition by
            {%- for name in key %} {{ relation }}.{{ name }}{{ ',' if not loop.last }}{% endfor %}
        order by {{ relation }}.recorded_at
    )
{%- endmacro %}
