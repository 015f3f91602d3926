{% macro raw_kind(type) -%}
    {#- What a raw column holds, whichever of the engine's types it has: text, bytes, boolean, integer, float (32 bits),
        double, decimal, date, timestamp (without zone), instant (with zone) or other.
        Arguments: type (as the engine spells it).
        Variants differ because Spark's `timestamp` has a zone: the session's, UTC. It is compared and cast as one
        without. -#}
    {{ return(adapter.dispatch('raw_kind')(type)) }}
{%- endmacro %}

{% macro duckdb__raw_kind(type) -%}
    {%- set word = (type | upper).split('(')[0] | trim -%}
    {%- set kinds = {
        'text': ['VARCHAR', 'CHARACTER VARYING', 'TEXT', 'JSON', 'UUID', 'ENUM'],
        'bytes': ['BLOB'],
        'boolean': ['BOOLEAN'],
        'integer': [
            'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT',
            'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'UHUGEINT',
        ],
        'float': ['FLOAT'],
        'double': ['DOUBLE'],
        'decimal': ['DECIMAL'],
        'date': ['DATE'],
        'timestamp': ['TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS'],
        'instant': ['TIMESTAMP WITH TIME ZONE'],
    } -%}
    {%- if '[' in type -%} {{ return('other') }} {%- endif -%}
    {%- for kind, words in kinds.items() if word in words -%} {{ return(kind) }} {%- endfor -%}
    {{ return('other') }}
{%- endmacro %}

{% macro spark__raw_kind(type) -%}
    {%- set word = (type | upper).split('(')[0] | trim -%}
    {%- set kinds = {
        'text': ['STRING', 'VARCHAR', 'CHAR', 'CHARACTER VARYING'],
        'bytes': ['BINARY'],
        'boolean': ['BOOLEAN'],
        'integer': ['TINYINT', 'SMALLINT', 'INT', 'INTEGER', 'BIGINT'],
        'float': ['FLOAT'],
        'double': ['DOUBLE'],
        'decimal': ['DECIMAL'],
        'date': ['DATE'],
        'timestamp': ['TIMESTAMP', 'TIMESTAMP_NTZ', 'TIMESTAMP_LTZ'],
    } -%}
    {%- for kind, words in kinds.items() if word in words -%} {{ return(kind) }} {%- endfor -%}
    {{ return('other') }}
{%- endmacro %}
