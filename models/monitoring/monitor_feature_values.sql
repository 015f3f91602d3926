{% for name, features in monitored_use_cases().items() -%}
select
    use_case,
    feature_name,
    number_value,
    category_value,
    row_count
from (
    {{ current_values(name, features) }}
) as counted
{{ 'union all' if not loop.last }}
{%- endfor %}
