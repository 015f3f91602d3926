{% macro assert_feature_settings(settings) -%}
    {#- `meta.feature_table` says what `feature_table` reads, and nothing else: a misspelt setting would count as its
        default, and the table would quietly miss what moves it. -#}
    {%- set known = ['fact', 'recorded_at', 'loaded_at', 'moves_at', 'window_days', 'late_rows'] -%}
    {%- set problems = [] -%}
    {%- for name in ['entity_keys', 'inputs'] if not settings.get(name) -%}
        {%- do problems.append(name ~ ' is missing') -%}
    {%- endfor -%}
    {%- for name in settings if name not in ['entity_keys', 'inputs'] -%}
        {%- do problems.append(name ~ ' is no setting; there are entity_keys and inputs') -%}
    {%- endfor -%}
    {%- for input in settings.get('inputs') or [] -%}
        {%- set where = 'input ' ~ loop.index ~ ' (' ~ input.get('fact', 'without fact') ~ '): ' -%}
        {%- if not input.get('fact') -%} {%- do problems.append(where ~ 'fact is missing') -%} {%- endif -%}
        {%- for name in input if name not in known -%}
            {%- do problems.append(where ~ name ~ ' is no setting; there are ' ~ known | join(', ')) -%}
        {%- endfor -%}
        {%- if input.get('window_days', 0) is not integer or input.get('window_days', 0) < 0 -%}
            {%- do problems.append(where ~ 'window_days: ' ~ input.window_days ~ ' is no number of days') -%}
        {%- endif -%}
        {%- if input.get('late_rows', 'ignored') != 'ignored' -%}
            {%- do problems.append(where ~ 'late_rows: ' ~ input.late_rows ~ ' means nothing; write `ignored`, or leave it out') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if problems -%}
        {%- do exceptions.raise_compiler_error(
            'meta.feature_table of ' ~ this.identifier ~ ', in its YAML:\n  ' ~ problems | join('\n  ')
        ) -%}
    {%- endif -%}
{%- endmacro %}
