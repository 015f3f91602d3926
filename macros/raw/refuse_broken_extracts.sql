{% macro refuse_broken_extracts() -%}
    {#- Stops the build where a raw table has a larger share of its rows in quarantine than
        `var('quarantine_threshold')`. The quarantine itself is kept, to be read.
        Use: post-hook of the model `quarantine`, after its transaction. -#}
    {%- if execute -%}
        {%- set threshold = var('quarantine_threshold') | float -%}
        {%- set shares -%}
            with quarantined as (
                select
                    quarantine.table_name,
                    quarantine.quarantine_reason,
                    count(*) as row_count
                from {{ this }} as quarantine
                group by quarantine.table_name, quarantine.quarantine_reason
            ),

            raw_counts as (
                {%- for source_name, table_name in raw_tables() %}
                select '{{ source_name }}.{{ table_name }}' as table_name, count(*) as row_count
                from {{ raw(source_name, table_name) }}
                {{ 'union all' if not loop.last }}
                {%- endfor %}
            ),

            shares as (
                select
                    quarantined.table_name,
                    raw_counts.row_count,
                    sum(quarantined.row_count) as quarantined_count,
                    max_by(quarantined.quarantine_reason, quarantined.row_count) as main_reason
                from quarantined
                inner join raw_counts on quarantined.table_name = raw_counts.table_name
                group by quarantined.table_name, raw_counts.row_count
            )

            select
                shares.table_name,
                shares.row_count,
                shares.quarantined_count,
                shares.main_reason
            from shares
            order by shares.table_name
        {%- endset -%}
        {%- set broken = [] -%}
        {%- for row in run_query(shares) -%}
            {%- set line = row[0] ~ ': ' ~ row[2] ~ ' of ' ~ row[1] ~ ' rows ('
                ~ '%.2f' | format(100 * (row[2] | float) / (row[1] | float)) ~ ' %), mostly: ' ~ row[3] -%}
            {%- if (row[2] | float) > threshold * (row[1] | float) -%}
                {%- do broken.append(line) -%}
            {%- else -%}
                {%- do log('QUARANTINE  ' ~ line, info=true) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if broken -%}
            {%- do exceptions.raise_compiler_error(
                'Too many raw rows break the contract (docs/raw-contract.md); more than '
                ~ (100 * threshold) ~ ' % of\n  ' ~ broken | join('\n  ')
                ~ '\nNothing was built on them. Read them with\n'
                ~ '  select * from ' ~ this.schema ~ '.' ~ this.identifier ~ '\n'
                ~ 'Mend the extract, or accept it: --vars "{quarantine_threshold: 0.05}"'
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
