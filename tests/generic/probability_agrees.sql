{% test probability_agrees(model, probability, score, category, thresholds) -%}
    {#- A prediction's score is its probability in percent, and its category the one with the highest bound not above
        the probability.
        Arguments: probability, score, category (columns), thresholds (category -> lower bound). -#}
    select
        {{ probability }},
        {{ score }},
        {{ category }}
    from {{ model }}
    where
        abs({{ score }} - 100 * {{ probability }}) > 1e-6
        or {{ category }} <> case
            {%- for name, bound in thresholds | dictsort(by='value') | reverse %}
            when {{ probability }} >= {{ bound }} then '{{ name }}'
            {%- endfor %}
        end
{%- endtest %}
