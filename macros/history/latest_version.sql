{% macro latest_version(relation, key) -%}
    {#- The newest recorded version of each key of a versioned table.
        Arguments: relation (a CTE or relation name), key (list of columns).
        Use: `latest_prodi as ({{ latest_version('program_studi', ['kode_prodi']) }})`. -#}
    select versions.*
    from (
        select
            {{ relation }}.*,
            row_number() over (
                partition by {{ key | join(', ') }}
                order by {{ relation }}.recorded_at desc
            ) as version_rank
        from {{ relation }}
    ) as versions
    where versions.version_rank = 1
{%- endmacro %}
