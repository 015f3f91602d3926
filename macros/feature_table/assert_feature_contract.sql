{% macro assert_feature_contract(columns, settings) -%}
    {#- The YAML of a feature model lists the entity's keys and the features, in order, with their types: an enforced
        contract. After a feature with `counts_days` the SQL gives `<feature>__since`, which the YAML does not repeat.
        What `feature_table` adds (`feature_audit_columns`) belongs to it without being written.
        Arguments: columns (features that the SQL makes), settings (meta.feature_table). -#}
    {%- if config.get('contract').enforced -%}
        {%- set made = [] -%}
        {%- for column in columns -%} {%- do made.append(column.name ~ ' ' ~ column.type | lower) -%} {%- endfor -%}
        {%- set said = [] -%}
        {%- set audit = feature_audit_columns() | list -%}
        {%- for name, column in model.columns.items() if name not in settings.entity_keys + audit -%}
            {%- do said.append(name ~ ' ' ~ column.data_type | lower) -%}
            {%- if column.config.get('meta', {}).get('counts_days') -%}
                {%- do said.append(name ~ '__since timestamp') -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set missing = settings.entity_keys | reject('in', model.columns) | list -%}
        {%- set repeated = audit | select('in', model.columns) | list -%}
        {%- if made != said or missing or repeated -%}
            {%- do exceptions.raise_compiler_error(
                this.identifier ~ ' breaks its contract.\n  SQL:  ' ~ made | join(', ') ~ '\n  YAML: '
                ~ said | join(', ') ~ ('\n  YAML lacks: ' ~ missing | join(', ') if missing else '')
                ~ ('\n  Leave out of the YAML what every feature table has: ' ~ repeated | join(', ') if repeated else '')
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
