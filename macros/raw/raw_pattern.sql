{% macro raw_pattern(data_type) -%}
    {#- How a raw text says a value of a type: the grammar of docs/raw-contract.md, as a regular expression of both engines,
        for the whole of a text. Whether there is such a day or such a number, the cast decides.
        Arguments: data_type (integer, double, date, timestamp).
        Use: `{{ matches_whole('rows.tanggal', raw_pattern('date')) }}`. -#}
    {%- set date = '[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}' -%}
    {%- set time = '([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?' -%}
    {%- set offset = '(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)' -%}
    {{ return({
        'integer': '-?[0-9]+(\\.0+)?',
        'double': '-?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]{1,3})?',
        'date': date,
        'timestamp': date ~ '([ T]' ~ time ~ offset ~ '?)?',
    }[data_type]) }}
{%- endmacro %}
