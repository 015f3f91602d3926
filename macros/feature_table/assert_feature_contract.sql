{% macro assert_feature_contract(columns, settings) -%}
    {#- The YAML of a feature model lists the table's columns, in order, with their types: an enforced contract. -#}
    {%- if config.get('contract').enforced -%}
        {%- set made = [] -%}
        {%- for column in columns -%} {%- do made.append(column.name ~ ' ' ~ column.type | lower) -%} {%- endfor -%}
        {%- set said = [] -%}
        {%- set audit = settings.entity_keys + feature_audit_columns() -%}
        {%- for name, column in model.columns.items() if name not in audit -%}
            {%- do said.append(name ~ ' ' ~ column.data_type | lower) -%}
        {%- endfor -%}
        {%- set missing = audit | reject('in', model.columns) | list -%}
        {%- if made != said or missing -%}
            {%- do exceptions.raise_compiler_error(
                this.identifier ~ ' breaks its contract.\n  SQL:  ' ~ made | join(', ') ~ '\n  YAML: '
                ~ said | join(', ') ~ ('\n  YAML lacks: ' ~ missing | join(', ') if missing else '')
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
