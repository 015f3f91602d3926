{% macro is_visible(rows) -%}
    {#- Condition: the build looks at a raw row. It was loaded before `as_of`, or its times cannot be true, which the
        quarantine is to say.
        Arguments: rows (alias of rows with `recorded_at` and `loaded_at`). -#}
    (
        {{ rows }}.loaded_at is null
        or {{ rows }}.recorded_at is null
        or {{ rows }}.loaded_at < {{ as_of() }}
        or {{ rows }}.loaded_at > {{ build_started_at() }}
    )
{%- endmacro %}
