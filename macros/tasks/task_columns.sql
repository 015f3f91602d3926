{% macro task_columns(task) -%}
    {#- What monitoring's SQL reads of a label of this task, as a mapping: `label` (column of the outcome, none where
        there is none), `target` and `horizon` (columns that an answer is about beside the entity). A task's own Python
        says the same (`ml.tasks`); a test holds the two together.
        Arguments: task (as `meta.use_case.task` names it). -#}
    {{ return({
        'classification': {'label': 'label', 'target': none, 'horizon': none},
        'forecast': {'label': 'label', 'target': 'target_period', 'horizon': 'horizon'},
        'anomaly': {'label': none, 'target': none, 'horizon': none},
    }.get(task, {'label': none, 'target': none, 'horizon': none})) }}
{%- endmacro %}
