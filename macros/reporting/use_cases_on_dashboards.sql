{% macro use_cases_on_dashboards() -%}
    {#- The use cases whose predictions a dashboard shows, as a list of names: its exposure depends on a report of their
        published table. Empty while dbt parses. -#}
    {%- set shown = [] -%}
    {%- if execute -%}
        {%- for exposure in graph.exposures.values() if exposure.type | string == 'dashboard' -%}
            {%- for parent in exposure.depends_on.nodes if parent in graph.nodes -%}
                {%- for source in graph.nodes[parent].depends_on.nodes -%}
                    {%- for name in monitored_use_cases() -%}
                        {%- if source.split('.')[-1] == 'published_' ~ use_case_meta(name).output_table -%}
                            {%- do shown.append(name) -%}
                        {%- endif -%}
                    {%- endfor -%}
                {%- endfor -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(shown | unique | list) }}
{%- endmacro %}
