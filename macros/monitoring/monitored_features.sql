{% macro monitored_features(training, kind=none) -%}
    {#- The champion's features, as a list: the columns of `monitor_training_<use case>` behind its version. Empty while
        dbt parses, without a champion, and where nothing is built yet.
        Arguments: training (relation), kind (`number`, `category`, or none for both). -#}
    {%- set found = [] -%}
    {%- if execute and load_relation(training) is not none -%}
        {%- for column in adapter.get_columns_in_relation(training) -%}
            {%- set what = 'category' if contract_type(column.dtype) == 'VARCHAR' else 'number' -%}
            {%- if column.name not in ('model_version', 'trained_as_of') and kind in (none, what) -%}
                {%- do found.append(column.name) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
