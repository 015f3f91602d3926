{% macro point_in_time_join(
    spine, features, entity_keys, timestamp, ttl=none, known_at=none, join_key_map=none
) -%}
    {#- Every row of a spine once, with each feature table's version that held at the row's instant.

        Arguments
            spine: relation or query with the entity keys and `timestamp`.
            features: {name: relation or query} with the entity keys, `valid_from`, the features, and optionally
                `valid_to`, `system_from`, `system_to`.
            entity_keys: list of columns. timestamp: column of the spine.
            ttl: SQL interval; a version that began longer before the instant gives NULL.
            known_at: column of the spine, or SQL instant: believe what was believed then.
            join_key_map: {side: {key of a feature table: column of the spine}}. A table without the entity keys is
                joined once for each side whose keys it has, and `<side>__` stands before its columns.
        Gives the spine's columns, then the features', those that count days (`days_counted`) as of the instant; of the
        tables' own columns neither the keys nor `valid_*`, `system_*`, `is_current` and `<feature>__since`. A name found twice is `<name>__<column>`. In the order of the spine.
        Use: `{{ point_in_time_join(
            ref('label_x'), {'academic': ref('features_y')}, ['nim'], 'cutoff', known_at='cutoff'
        ) }}`; of pairs `join_key_map={'a': {'nidn': 'nidn_a'}, 'b': {'nidn': 'nidn_b'}}`.

        What holds is decided by `point_in_time_match`, what is joined by which keys and called what by
        `point_in_time_readings`; `ml.features` renders both. -#}
    {%- if not execute -%} {{ return('') }} {%- endif -%}
    {%- set spine_columns = point_in_time_columns(spine) -%}
    {%- set tables, names = {}, {} -%}
    {%- for name, relation in features.items() -%}
        {%- do tables.update({name: point_in_time_columns(relation)}) -%}
        {%- do names.update({name: tables[name].keys() | list}) -%}
    {%- endfor -%}
    {#- Nothing is built yet where someone compiles or documents a fresh clone. -#}
    {%- set is_only_read = flags.WHICH in ('compile', 'generate', 'list') -%}
    {%- if is_only_read and not (spine_columns and tables.values() | select | list) -%}
        {{ return('select null as not_built_yet') }}
    {%- endif -%}
    {%- set sides = {} -%}
    {%- for side, keys in (join_key_map or {}).items() -%}
        {%- do sides.update({side: {}}) -%}
        {%- for key, column in keys.items() -%} {%- do sides[side].update({key | lower: column | lower}) -%} {%- endfor -%}
    {%- endfor -%}
    {%- set readings = point_in_time_readings(
        spine_columns.keys() | list, names, entity_keys | map('lower') | list, sides
    ) -%}
    {%- do point_in_time_check(spine_columns, tables, readings, timestamp, known_at) -%}
    {%- set is_known_column = known_at is not none and known_at | lower in spine_columns -%}
    {%- set spine_keys = [] -%}
    {%- for reading in readings -%}
        {%- do spine_keys.extend(reading['keys'].values() | reject('in', spine_keys)) -%}
    {%- endfor -%}

    with
    spine_rows as {{ materialized() }} (
        select
            spine.*,
            {{ point_in_time_utc(timestamp, spine_columns) }} as __instant,
            {{ row_ids() }} as __row_id
        from {{ point_in_time_source(spine) }} as spine
    ),

    instants as (
        select
            {%- for key in spine_keys %}
            {{ adapter.quote(key) }} as key_{{ loop.index }},
            {%- endfor %}
            __instant as instant,
            {%- if is_known_column %}
            {{ point_in_time_utc(known_at, spine_columns) }} as known_at,
            {%- endif %}
            __row_id as row_id
        from spine_rows
    ),
    {%- for name in tables %}

    version_rows_{{ loop.index }} as {{ materialized() }} (
        select
            versions.*,
            {{ row_ids() }} - {{ 2 ** 62 }} as __row_id
        from {{ point_in_time_source(features[name]) }} as versions
    ),
    {%- endfor %}
    {%- for reading in readings %}
    {%- set columns = tables[reading.table] -%}
    {%- set keys = [] %}

    versions_{{ loop.index }} as (
        select
            {%- for key, column in reading['keys'].items() %}
            {%- do keys.append('key_' ~ (spine_keys.index(column) + 1)) %}
            {{ adapter.quote(key) }} as {{ keys[-1] }},
            {%- endfor %}
            {%- for column in ['valid_from', 'valid_to', 'system_from', 'system_to'] if column in columns %}
            {{ point_in_time_utc(column, columns) }} as {{ column }},
            {%- endfor %}
            __row_id as row_id
        from version_rows_{{ (tables.keys() | list).index(reading.table) + 1 }}
    ),

    matched_{{ loop.index }} as (
        {{ point_in_time_match(
            'instants', 'versions_' ~ loop.index, keys, columns.keys() | list, ttl,
            known_column=is_known_column, known_instant=none if is_known_column else known_at
        ) }}
    ),
    {%- endfor %}

    final as (
        select
            {%- set output = [] -%}
            {%- for column in spine_columns.values() %}
            {%- do output.append(adapter.quote(column.name)) %}
            spine_rows.{{ adapter.quote(column.name) }},
            {%- endfor %}
            {%- for reading in readings %}
            {%- set number = loop.index -%}
            {%- for key, name in reading.columns.items() %}
            {%- set column = tables[reading.table][key].name %}
            {%- do output.append(adapter.quote(name[:name | length - key | length] ~ column)) %}
            {%- set value = 'rows_' ~ number ~ '.' ~ adapter.quote(column) %}
            {%- set since = tables[reading.table].get(key ~ '__since') %}
            {%- if since %}
            {{ days_counted(
                value, 'rows_' ~ number ~ '.' ~ adapter.quote(since.name), 'spine_rows.__instant', tables[reading.table][key].type
            ) }} as {{ output[-1] }},
            {%- else %}
            {{ value }} as {{ output[-1] }},
            {%- endif %}
            {%- endfor %}
            {%- endfor %}
            spine_rows.__row_id
        from spine_rows
        {%- for reading in readings %}
        left join matched_{{ loop.index }}
            on spine_rows.__row_id = matched_{{ loop.index }}.spine_row_id
        left join version_rows_{{ (tables.keys() | list).index(reading.table) + 1 }} as rows_{{ loop.index }}
            on matched_{{ loop.index }}.version_row_id = rows_{{ loop.index }}.__row_id
        {%- endfor %}
    )

    select {{ output | join(', ') }}
    from final
    order by __row_id
{%- endmacro %}

{% macro days_counted(value, since, instant, type) -%}
    {#- A feature that counts the days since something, at an instant: `value` is what it is at the version's
        `valid_from`, `since` when what it counts from happened. Without `since` the value stands.
        Arguments: SQL expressions; type: of the value. -#}
    coalesce(cast({{ day_number(instant) }} - {{ day_number(since) }} as {{ type }}), {{ value }})
{%- endmacro %}

{% macro point_in_time_readings(spine, tables, entity_keys, join_key_map) -%}
    {#- By which keys each feature table is joined, and what its columns are called then.

        Arguments: spine: its columns. tables: {name: its columns}. entity_keys, join_key_map: as of the join.
        Gives a list, a table of sides once for each of them: {table, side, keys: {its column: the spine's}, columns:
        {its column: name in the answer}}. A table that has neither the entity keys nor those of a side is read by the
        entity keys. -#}
    {%- set readings, taken = [], spine | list -%}
    {%- set hidden = ['valid_from', 'valid_to', 'system_from', 'system_to', 'is_current'] -%}
    {%- set own = {} -%}
    {%- for key in entity_keys -%} {%- do own.update({key: key}) -%} {%- endfor -%}
    {%- for name, columns in tables.items() -%}
        {%- set sides = [] -%}
        {%- if own.keys() | reject('in', columns) | list -%}
            {%- for side, keys in join_key_map.items() if not keys.keys() | reject('in', columns) | list -%}
                {%- do sides.append((side, keys)) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- for side, keys in sides or [('', own)] -%}
            {%- set prefix = side ~ '__' if side else '' -%}
            {%- set since = [] -%}
            {%- for column in columns -%} {%- do since.append(column ~ '__since') -%} {%- endfor -%}
            {%- set shown = columns | reject('in', hidden + since + keys.keys() | list) | list -%}
            {%- do readings.append({'table': name, 'side': side, 'keys': keys, 'prefix': prefix, 'shown': shown}) -%}
            {%- for column in shown -%} {%- do taken.append(prefix ~ column) -%} {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set counts = {} -%}
    {%- for column in taken -%} {%- do counts.update({column: counts.get(column, 0) + 1}) -%} {%- endfor -%}
    {%- for reading in readings -%}
        {%- set columns = {} -%}
        {%- for column in reading.pop('shown') -%}
            {%- set name = reading.prefix ~ column -%}
            {%- set is_shared = counts[name] > 1 -%}
            {%- do columns.update({column: reading.prefix ~ reading.table ~ '__' ~ column if is_shared else name}) -%}
        {%- endfor -%}
        {%- do reading.update({'columns': columns}) -%}
    {%- endfor -%}
    {{ return(readings) }}
{%- endmacro %}

{% macro point_in_time_match(
    instants, versions, entity_keys, columns, ttl=none, known_column=false, known_instant=none
) -%}
    {#- Which version held, and was believed, at each instant: the whole meaning of the join, and nothing else.

        Arguments
            instants: CTE or table of the keys, `instant`, `known_at` where `known_column`, `row_id` (0 and up).
            versions: CTE or table of the keys, `valid_from`, those of `valid_to`, `system_from`, `system_to` that are
                in `columns`, and `row_id` (negative, ascending). Times are naive UTC.
            ttl: SQL interval. known_instant: SQL instant.
        Gives `spine_row_id`, `version_row_id` of the instants that have a version.

        Of the versions of the entity with `valid_from <= instant < valid_to` that were believed, the one of the latest
        `valid_from`, then of the latest `system_from`, then the last row. A NULL key or instant matches nothing; a
        NULL `valid_to` or `system_to` is open.

        The latest version that began by the instant is the answer if it still holds and was believed. Where it is
        not, the answer can only be a version that was open when its successor began: those few are looked through. -#}
    {%- set has_end = 'valid_to' in columns -%}
    {%- set has_system_from = 'system_from' in columns -%}
    {%- set has_system_to = 'system_to' in columns -%}
    {%- set holds = [] -%}
    {%- if has_end -%} {%- do holds.append(('instant', '<', 'valid_to')) -%} {%- endif -%}
    {%- if known_column -%} {%- do holds.append(('known_at', '>', 'system_from')) -%} {%- endif -%}
    {%- if known_column and has_system_to -%} {%- do holds.append(('known_at', '<=', 'system_to')) -%} {%- endif -%}
    {%- set carried = holds | map('last') | list + (['valid_from'] if ttl is not none else []) -%}
    {%- set order_by = ['instant'] + (['tie nulls last'] if has_system_from else []) -%}
    {%- set ranking = ['valid_from'] + (['system_from'] if has_system_from else []) + ['row_id'] -%}

    with
    believed as (
        select
            {%- for key in entity_keys %}
            {{ key }},
            {%- endfor %}
            valid_from,
            {%- if has_end %}
            coalesce(valid_to, {{ end_of_time() }}) as valid_to,
            {%- endif %}
            {%- if has_system_from %}
            coalesce(system_from, cast('0001-01-01' as timestamp)) as system_from,
            {%- endif %}
            {%- if has_system_to %}
            coalesce(system_to, {{ end_of_time() }}) as system_to,
            {%- endif %}
            row_id
        from {{ versions }}
        where
            valid_from is not null
            {%- for key in entity_keys %}
            and {{ key }} is not null
            {%- endfor %}
            {%- if known_column or known_instant is not none %}
            and system_from is not null
            {%- endif %}
            {%- if known_instant is not none %}
            and system_from < {{ known_instant }}
            {%- if has_system_to %}
            and {{ known_instant }} <= coalesce(system_to, {{ end_of_time() }})
            {%- endif %}
            {%- elif has_system_to and not known_column %}
            and coalesce(system_to, {{ end_of_time() }}) >= {{ end_of_time() }}
            {%- endif %}
    ),

    timeline as (
        select
            {%- for key in entity_keys %}
            {{ key }},
            {%- endfor %}
            valid_from as instant,
            {%- if has_system_from %}
            system_from as tie,
            {%- endif %}
            {%- if known_column %}
            cast(null as timestamp) as known_at,
            {%- endif %}
            {%- for column in carried %}
            {{ column }},
            {%- endfor %}
            row_id
        from believed
        union all
        select
            {%- for key in entity_keys %}
            {{ key }},
            {%- endfor %}
            instant,
            {%- if has_system_from %}
            cast(null as timestamp) as tie,
            {%- endif %}
            {%- if known_column %}
            known_at,
            {%- endif %}
            {%- for column in carried %}
            cast(null as timestamp) as {{ column }},
            {%- endfor %}
            row_id
        from {{ instants }}
        where
            instant is not null
            {%- for key in entity_keys %}
            and {{ key }} is not null
            {%- endfor %}
            {%- if known_column %}
            and known_at is not null
            {%- endif %}
    ),

    latest as (
        {{ version_before('timeline', entity_keys, order_by, carried) }}
    )
    {%- if holds %},

    unresolved as (
        select *
        from latest
        where not (
            {%- for left, sign, right in holds %}
            {{ 'and ' if not loop.first }}{{ left }} {{ sign }} version_{{ right }}
            {%- endfor %}
        )
    ),

    successions as (
        select
            believed.*,
            lead(believed.valid_from) over (
                partition by {% for key in entity_keys %}believed.{{ key }}{{ ', ' if not loop.last }}{% endfor %}
                order by {% for column in ranking %}believed.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            ) as next_valid_from
        from believed
        where exists (
            select 1
            from unresolved
            where
                {%- for key in entity_keys %}
                {{ 'and ' if not loop.first }}unresolved.{{ key }} = believed.{{ key }}
                {%- endfor %}
        )
    ),

    rescued as (
        select
            unresolved.row_id,
            unresolved.instant,
            successions.valid_from as version_valid_from,
            successions.row_id as version_row_id,
            row_number() over (
                partition by unresolved.row_id
                order by {% for column in ranking %}successions.{{ column }} desc{{ ', ' if not loop.last }}{% endfor %}
            ) as preference
        from unresolved
        inner join successions
            on
                {%- for key in entity_keys %}
                {{ 'and ' if not loop.first }}unresolved.{{ key }} = successions.{{ key }}
                {%- endfor %}
                and unresolved.instant >= successions.valid_from
                {%- for left, sign, right in holds %}
                and unresolved.{{ left }} {{ sign }} successions.{{ right }}
                {%- endfor %}
        where successions.next_valid_from {{ '< successions.valid_to' if has_end else 'is not null' }}
    )
    {%- endif %}

    select
        row_id as spine_row_id,
        version_row_id
    from latest
    where
        true
        {%- for left, sign, right in holds %}
        and {{ left }} {{ sign }} version_{{ right }}
        {%- endfor %}
        {%- if ttl is not none %}
        and instant <= version_valid_from + {{ ttl }}
        {%- endif %}
    {%- if holds %}
    union all
    select
        row_id as spine_row_id,
        version_row_id
    from rescued
    where
        preference = 1
        {%- if ttl is not none %}
        and instant <= version_valid_from + {{ ttl }}
        {%- endif %}
    {%- endif %}
{%- endmacro %}

{% macro point_in_time_source(relation) -%}
    {#- A relation as it stands in FROM: a query gets its parentheses. -#}
    {%- if relation is string and ' ' in relation | trim -%} ({{ relation }}) {%- else -%} {{ relation }} {%- endif -%}
{%- endmacro %}

{% macro point_in_time_check(spine_columns, tables, readings, timestamp, known_at) -%}
    {#- Stop where a column is missing that the join cannot do without. -#}
    {%- set problems = [] -%}
    {%- if not readings or not readings[0]['keys'] -%}
        {%- do problems.append('name at least one feature table and one entity key') -%}
    {%- endif -%}
    {%- set wanted = [timestamp] -%}
    {%- for reading in readings -%}
        {%- do wanted.extend(reading['keys'].values() | reject('in', wanted)) -%}
        {%- for column in reading['keys'].keys() | list + ['valid_from']
            if column | lower not in tables[reading.table] -%}
            {%- do problems.append('`' ~ reading.table ~ '` has no column `' ~ column ~ '`') -%}
        {%- endfor -%}
        {%- if known_at is not none and 'system_from' not in tables[reading.table] -%}
            {%- do problems.append('`' ~ reading.table ~ '` has no `system_from`, which `known_at` is asked of') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for column in wanted if column | lower not in spine_columns -%}
        {%- do problems.append('the spine has no column `' ~ column ~ '`') -%}
    {%- endfor -%}
    {%- if problems -%}
        {%- do exceptions.raise_compiler_error('point_in_time_join: ' ~ problems | join('; ') ~ '.') -%}
    {%- endif -%}
{%- endmacro %}

{% macro point_in_time_utc(column, columns) -%}
    {#- A column as naive UTC timestamp, whatever its zone or if a date. -#}
    {%- if 'TIME ZONE' in columns[column | lower].type | upper -%}
        ({{ adapter.quote(column) }} at time zone 'UTC')
    {%- else -%}
        cast({{ adapter.quote(column) }} as timestamp)
    {%- endif -%}
{%- endmacro %}
