{% macro explain_failures(results) -%}
    {#- Says in plain words, after a build that failed, what is to be done: where refused predictions are and how to read
        them; and what a Python model had to say, without the traceback that dbt-duckdb puts around it.
        Arguments: results (of the run, as dbt hands them to on-run-end).
        Use: `on-run-end` in dbt_project.yml. -#}
    {%- for result in results if 'InsighteraError: ' in (result.message or '') -%}
        {%- do log(result.node.name ~ ': ' ~ result.message.split('InsighteraError: ')[-1] | trim, info=true) -%}
    {%- endfor -%}
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
            ~ '    insightera predictions show ' ~ model.removeprefix('score_') ~ ' --branch ' ~ branch,
            info=true
        ) -%}
    {%- endfor -%}
{%- endmacro %}
