{% macro assert_feature_versions(relation, settings) -%}
    {#- Stops the build where a feature table is not whole (`feature_faults_sql`): a data test that every feature table
        has without naming it.
        Arguments: relation (as just written), settings (meta.feature_table). -#}
    {%- set faults = run_query(
        feature_faults_sql(relation, settings.entity_keys) ~ ' order by problem, valid_from limit 3'
    ).rows -%}
    {%- if faults -%}
        {%- set examples = [] -%}
        {%- for fault in faults -%}
            {%- set entity = [] -%}
            {%- for key in settings.entity_keys -%} {%- do entity.append(key ~ ' ' ~ fault[loop.index0]) -%} {%- endfor -%}
            {%- do examples.append(
                entity | join(', ') ~ ', valid from ' ~ fault[-2] ~ ': ' ~ fault[-1]
            ) -%}
        {%- endfor -%}
        {%- do exceptions.raise_compiler_error(
            relation.identifier ~ ' is not whole, and nothing is to be built on it. For example:\n  '
            ~ examples | join('\n  ') ~ '\nWhat its SQL gives breaks docs/features.md: most often a row counts before the '
            ~ 'day after it was recorded. Where the SQL is right, --full-refresh computes the table anew.'
        ) -%}
    {%- endif -%}
{%- endmacro %}
