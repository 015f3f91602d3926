{% macro explain_failed_audits(results) -%}
    {#- Says, after a build whose audit failed, where the refused predictions are and how to read them.
        Arguments: results (of the run, as dbt hands them to on-run-end).
        Use: `on-run-end` in dbt_project.yml. -#}
    {%- set refused = {} -%}
    {%- for result in results if result.node.resource_type == 'test' and result.status | string in ('fail', 'error') -%}
        {%- for parent in result.node.depends_on.nodes if parent.split('.')[-1].startswith('score_') -%}
            {%- do refused.setdefault(parent.split('.')[-1], []).append(result.node.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for model, tests in refused.items() -%}
        {%- set branch = 'audit_' ~ (invocation_id | replace('-', '')) -%}
        {%- do log(
            'AUDIT FAILED: ' ~ model ~ ' broke ' ~ (tests | unique | join(', ')) ~ '.\n'
            ~ '  Nothing was published: `main`, serving.duckdb and the dashboards are as before.\n'
            ~ '  The refused rows are on the Iceberg branch ' ~ branch ~ '. Read them with\n'
            ~ '    insightera predictions show --branch ' ~ branch,
            info=true
        ) -%}
    {%- endfor -%}
{%- endmacro %}
