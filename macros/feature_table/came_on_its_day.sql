{% macro came_on_its_day(relation, recorded_at='recorded_at', loaded_at='loaded_at') -%}
    {#- Condition: a row was loaded on the day it was recorded, so that no build has computed what it moves. The rows
        of an input with `late_rows: ignored`, in the scope and in the model's SQL.
        Arguments: relation (alias of the rows), recorded_at, loaded_at (its columns).
        Use: `where {{ came_on_its_day('aktivitas') }}`. -#}
    cast({{ relation }}.{{ loaded_at }} as date) = cast({{ relation }}.{{ recorded_at }} as date)
{%- endmacro %}
