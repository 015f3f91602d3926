{% macro as_of() -%}
    {#- The build's instant as a scalar: the build sees exactly the rows with `loaded_at < as_of`.
        Use: `where loaded_at < {{ as_of() }}`. -#}
    (select this_build.as_of from {{ ref('this_build') }} as this_build)
{%- endmacro %}
