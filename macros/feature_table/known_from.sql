{% macro known_from(valid_from, known_at) -%}
    {#- `system_from` of a version: the last instant at which nobody could know it yet, since beliefs are
        `system_from < known_at`. A version that no late row touched is known from its own midnight on - the build as of that
        midnight has all its rows - so this is the microsecond before; a late row's is its `loaded_at`.
        Arguments: valid_from, known_at (newest `loaded_at` or an earlier `system_from`; SQL expressions).
        Use: `{{ known_from('points.valid_from', 'points.loaded_at') }} as system_from`. -#}
    greatest({{ valid_from }} - interval '1 microsecond', {{ known_at }})
{%- endmacro %}
