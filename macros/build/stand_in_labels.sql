{% macro stand_in_labels() -%}
    {#- Where a label failed and none of an earlier build is there, an empty table with the columns that every reader of
        labels asks for: what follows from all labels must find it. The next build replaces it.
        Use: pre-hook of `this_build`, for when it catches up. -#}
    {%- if execute -%}
        {%- for name, failed in refused_use_cases().items() if 'label_' ~ name in failed -%}
            {%- set label = relation_of_model('label_' ~ name) -%}
            {%- if load_relation(label) is none -%}
                {%- set meta = use_case_meta(name) -%}
                {%- set columns = task_columns(meta.task) -%}
                {%- set entities = relation_of_model(meta.attributes_from) -%}
                {%- set held = adapter.get_columns_in_relation(entities) | map(attribute='name') | map('lower') | list -%}
                {%- set typed = {} -%}
                {%- for reading in point_in_time_readings(
                    [], {'entities': held}, meta.entity_keys, meta.get('join_key_map', {})
                ) -%}
                    {%- for column, key in reading['keys'].items() -%} {%- do typed.update({key: column}) -%} {%- endfor -%}
                {%- endfor -%}
                {%- set query -%}
                    select
                        {%- for key, column in typed.items() %}
                        entities.{{ column }} as {{ key }},
                        {%- endfor %}
                        {%- if columns.target %}
                        cast(null as {{ dbt.type_string() }}) as {{ columns.target }},
                        {%- endif %}
                        {%- for column in [columns.horizon, columns.label] if column %}
                        cast(null as double) as {{ column }},
                        {%- endfor %}
                        {%- for column in meta.get('known_ahead', []) if column not in [columns.horizon, columns.target] %}
                        cast(null as double) as {{ column }},
                        {%- endfor %}
                        cast(null as timestamp) as cutoff
                    from {{ entities }} as entities
                    where 1 = 0
                {%- endset -%}
                {%- do run_query(create_table_as(false, label, query)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
