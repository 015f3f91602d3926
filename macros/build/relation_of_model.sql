{% macro relation_of_model(name) -%}
    {#- Where a model of the project is, without being its child: for hooks.
        Arguments: name. -#}
    {%- for node in graph.nodes.values() if node.name == name and node.resource_type == 'model' -%}
        {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('There is no model ' ~ name ~ '.') }}
{%- endmacro %}
