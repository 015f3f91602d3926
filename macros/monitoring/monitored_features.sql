{% macro monitored_features(training) -%}
    {#- The champion's features, as a list: the columns of `monitor_training_<use case>` behind its version. Empty while
        dbt parses, without a champion, and where nothing is built yet.
        Arguments: training (relation). -#}
    {%- set kinds = monitored_features_by_kind(training) -%}
    {{ return(kinds.number + kinds.category) }}
{%- endmacro %}

{% macro monitored_features_by_kind(training) -%}
    {#- The same, as {'number': list, 'category': list}. Arguments: training (relation). -#}
    {%- set kinds = {'number': [], 'category': []} -%}
    {%- if execute and load_relation(training) is not none -%}
        {%- for column in adapter.get_columns_in_relation(training) -%}
            {%- if column.name not in ('model_version', 'trained_as_of') -%}
                {%- do kinds['category' if contract_type(column.dtype) == 'VARCHAR' else 'number'].append(column.name) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kinds) }}
{%- endmacro %}
