{% macro read_by_use_cases(rooms) -%}
    {#- What the label and the features of each monitored use case are made of, by dbt's graph, as one query: use_case,
        table_name. What stands behind `models/staging/build/` is left out: `as_of` comes of every raw table.
        Arguments: rooms (list of `raw`, whose tables are called `siakad.nilai`, or folders below `models/`).
        Renders as: select 'student_dropout' as use_case, 'dim_mahasiswa' as table_name union all ... -#}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for use_case, features in monitored_use_cases().items() -%}
            {%- set names = ['label_' ~ use_case] + (features.values() | list) -%}
            {%- set read = [] -%}
            {%- for node in graph.nodes.values() if node.name in names and node.resource_type == 'model' -%}
                {%- do read.append(node.unique_id) -%}
            {%- endfor -%}
            {#- the list grows while it is walked -#}
            {%- for id in read -%}
                {%- set node = graph.nodes.get(id, graph.sources.get(id)) -%}
                {%- if node.resource_type == 'source' and 'raw' in rooms -%}
                    {%- do found.append((use_case, node.source_name ~ '.' ~ node.name)) -%}
                {%- elif node.resource_type == 'model' and node.fqn[1] in rooms -%}
                    {%- do found.append((use_case, node.name)) -%}
                {%- endif -%}
                {%- if 'build' not in node.fqn -%}
                    {%- do read.extend(node.get('depends_on', {}).get('nodes', []) | reject('in', read) | list) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for use_case, name in found %}
    select
        '{{ use_case }}' as use_case,
        '{{ name }}' as table_name
    union all
    {%- endfor %}
    select
        cast(null as {{ dbt.type_string() }}) as use_case,
        cast(null as {{ dbt.type_string() }}) as table_name
    where false
{%- endmacro %}
