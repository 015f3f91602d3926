{% macro feature_audit_columns() -%}
    {#- The columns that `feature_table` gives every feature table, after its entity keys and features: when a version
        holds, what it was computed from, and since when and until when it was believed. {name: {type, description}}, in
        the table's order; nobody writes them into the YAML of a feature table.
        Use: `feature_audit_columns() | list` for their names. -#}
    {{ return({
        'valid_from': {
            'type': 'TIMESTAMP',
            'description': 'First instant, UTC midnight, at which the version could be known: it is computed from rows recorded before.',
        },
        'valid_to': {
            'type': 'TIMESTAMP',
            'description': 'When the next version begins, UTC; 9999-12-31 while it is open.',
        },
        'is_current': {
            'type': 'BOOLEAN',
            'description': 'The open version, believed now.',
        },
        'feature_timestamp': {
            'type': 'TIMESTAMP',
            'description': 'Newest `recorded_at` that contributed, UTC.',
        },
        'feature_hash': {
            'type': 'VARCHAR',
            'description': 'Digest of the feature columns; consecutive equal versions are one.',
        },
        'system_from': {
            'type': 'TIMESTAMP',
            'description': 'Believed at every instant after it: the newest `loaded_at` that contributed, at the earliest the microsecond before `valid_from`, UTC.',
        },
        'system_to': {
            'type': 'TIMESTAMP',
            'description': 'When a late row corrected the version, UTC; 9999-12-31 while it is believed.',
        },
    }) }}
{%- endmacro %}
