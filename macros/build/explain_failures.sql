{% macro explain_failures(results) -%}
    {#- Says in plain words, after a build that failed, what is to be done: where refused predictions are and how to read
        them; what a Python model had to say, without the traceback that dbt-duckdb puts around it; and what becomes of the
        use cases of which nothing failed.
        Arguments: results (of the run, as dbt hands them to on-run-end).
        Use: `on-run-end` in dbt_project.yml. -#}
    {%- for result in results if 'InsighteraError: ' in (result.message or '') -%}
        {%- do log(result.node.name ~ ': ' ~ result.message.split('InsighteraError: ')[-1] | trim, info=true) -%}
    {%- endfor -%}
    {%- set refused = {} -%}
    {%- for result in results if result.node.resource_type == 'test' and result.status | string in ('fail', 'error') -%}
        {%- for parent in result.node.depends_on.nodes if parent.split('.')[-1].startswith('score_') -%}
            {%- do refused.setdefault(parent.split('.')[-1].removeprefix('score_'), []).append(result.node.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for use_case, tests in refused.items() -%}
        {%- set branch = 'audit_' ~ (invocation_id | replace('-', '')) -%}
        {%- do log(
            'AUDIT FAILED: ' ~ use_case ~ ': score_' ~ use_case ~ ' broke ' ~ (tests | unique | join(', ')) ~ '.\n'
            ~ '  Its new rows are refused, not published: ' ~ use_case ~ ' keeps what it had published before, if anything.\n'
            ~ '  They are on the Iceberg branch ' ~ branch ~ '. Read them with\n'
            ~ '    insightera predictions show ' ~ use_case ~ ' --branch ' ~ branch,
            info=true
        ) -%}
    {%- endfor -%}
    {%- set status = {} -%}
    {%- for result in results if result.node.resource_type == 'model' -%}
        {%- do status.update({result.node.name: result.status | string}) -%}
    {%- endfor -%}
    {%- set published = [] -%}
    {%- for name, use_case in fromjson(use_cases_as_json()).items() -%}
        {%- if status.get('published_' ~ use_case.output_table) == 'success' -%} {%- do published.append(name) -%} {%- endif -%}
    {%- endfor -%}
    {%- if published and status.get('serve_reports') == 'skipped' -%}
        {%- do log(
            'Of ' ~ (published | sort | join(', ')) ~ ' what was new is published, but the dashboards do not show it yet:\n'
            ~ '  `insightera catch-up` builds what waits for a use case that failed; `make build` and `insightera replay` do so '
            ~ 'by themselves.',
            info=true
        ) -%}
    {%- endif -%}
{%- endmacro %}
