{% macro point_in_time_columns(relation) -%}
    {#- The columns of a relation or query, {name in lower case: {name, type}}. In a file of its own: `ml.features`,
        which renders the join without dbt, has its own. -#}
    {%- set columns = {} -%}
    {%- if relation is string -%}
        {%- for column in columns_of_query('select * from ' ~ point_in_time_source(relation)) -%}
            {%- do columns.update({column.name | lower: column}) -%}
        {%- endfor -%}
    {%- else -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do columns.update({column.name | lower: {'name': column.name, 'type': column.data_type}}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(columns) }}
{%- endmacro %}
