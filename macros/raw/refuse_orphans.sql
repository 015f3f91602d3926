{% macro refuse_orphans() -%}
    {#- Says how many rows of the raw tables name what its owner lacks, and stops the build where that is a larger share than
        `var('orphan_threshold')`. The counts themselves are kept, to be read.
        Use: post-hook of the model `orphans`, after its transaction. -#}
    {%- if execute -%}
        {%- set threshold = var('orphan_threshold') | float -%}
        {%- set counts -%}
            select
                orphans.table_name,
                orphans.column_name,
                orphans.parent_table,
                orphans.row_count,
                orphans.parent_count,
                orphans.orphan_count,
                orphans.example_orphan,
                orphans.example_parent
            from {{ this }} as orphans
            where orphans.row_count > 0 and (orphans.orphan_count > 0 or orphans.parent_count = 0)
            order by orphans.table_name, orphans.column_name
        {%- endset -%}
        {%- set broken = [] -%}
        {%- for row in run_query(counts) -%}
            {%- if row[4] == 0 -%}
                {%- do log(
                    'ORPHANS  ' ~ row[0] ~ ': ' ~ row[2] ~ ' has no rows, so that nothing can be said about ' ~ row[1],
                    info=true
                ) -%}
            {%- else -%}
                {%- set line = row[0] ~ ': ' ~ row[5] ~ ' of ' ~ row[3] ~ ' rows name a ' ~ row[1] ~ ' that '
                    ~ row[2] ~ ' lacks, e.g. "' ~ row[6] ~ '", where it has e.g. "' ~ row[7] ~ '"' -%}
                {%- if (row[5] | float) > threshold * (row[3] | float) -%}
                    {%- do broken.append(line) -%}
                {%- else -%}
                    {%- do log('ORPHANS  ' ~ line, info=true) -%}
                {%- endif -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if broken -%}
            {%- do exceptions.raise_compiler_error(
                'Too many raw rows belong to nothing (docs/raw-contract.md); more than '
                ~ (100 * threshold) ~ ' % of\n  ORPHANS  ' ~ broken | join('\n  ORPHANS  ')
                ~ '\nNothing was built on them. Read the counts with\n'
                ~ '  select * from ' ~ this.schema ~ '.' ~ this.identifier ~ '\n'
                ~ 'Mend the extract, or accept it: --vars "{orphan_threshold: 0.5}"'
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
