{% macro refused_use_cases() -%}
    {#- The use cases of which something failed in the build that this invocation catches up with, as {name: [models that
        failed]}; empty in a build from the start. `insightera catch-up` says it, by an environment variable.
        Use: `{% if name in refused_use_cases() %}`. -#}
    {{ return(fromjson(env_var('INSIGHTERA_REFUSED', '{}'))) }}
{%- endmacro %}
