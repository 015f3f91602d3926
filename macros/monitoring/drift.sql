{% macro drift(values, group_by) -%}
    {#- How far apart two samples of a column are: PSI, KS, means and shares of NULL.

        Arguments
            values: relation or CTE with `group_by`, `number_value` (double) or `category_value` (text), both NULL where
                the value is NULL, and how often the value is in each sample: `reference_count`, `current_count`. A
                value may have several rows. A number may stand for a range of values of which it is the greatest,
                as `value_points` makes them.
            group_by: list of the columns that name a column under watch.
        Gives one row per group: `reference_rows`, `current_rows`, `reference_null_share`, `current_null_share`,
        `null_share_noise`, `psi`, `psi_noise`, `ks`.

        PSI, the population stability index: sum over bins of (c - r) ln(c / r), r and c the shares of the reference
        and of the current sample (Siddiqi, Credit Risk Scorecards, 2006, ch. 6; it is Jeffreys' divergence).
        Bins of numbers: below the reference's least value; then the tenths of the reference, each from above one
        decile to the next, the decile included, where the k-th decile is the least value that k tenths of the
        reference do not exceed (NumPy's `inverted_cdf`) and equal deciles are one; then above its greatest value.
        Bins of categories: each value. NULL is a bin of its own. A bin that both samples leave empty is none.
        Smoothing: half a row is added to each bin of each sample (Krichevsky & Trofimov 1981), so that an empty bin
        does not make PSI infinite, and less the larger the samples; a floor on the shares would do it more, the
        larger they are.

        `psi_noise`: what chance alone hardly exceeds. Of two samples of one distribution, PSI / (1/n + 1/m) is about
        chi-squared with B - 1 degrees of freedom (Yurdakul & Naranjo, J. Risk Model Validation 14(4), 2020); this is
        its mean and three standard deviations. `null_share_noise` is the same of the change of the share of NULL: three
        standard errors of the difference of two proportions, pooled. Where few entities make `psi_noise` large, all of
        them being NULL is still seen.

        KS: greatest distance of the two empirical distribution functions of a number, rows with NULL left out (the
        statistic of Kolmogorov and Smirnov's two-sample test, SciPy's `ks_2samp`); NULL for categories.

        A sample without rows gives NULL; KS is NULL where one sample has nothing but NULL. -#}
    {%- set groups = group_by | join(', ') -%}
    with
    counted as (
        select
            {{ groups }},
            number_value,
            category_value,
            cast(sum(reference_count) as double) as reference_count,
            cast(sum(current_count) as double) as current_count
        from {{ values }}
        group by {{ groups }}, number_value, category_value
    ),

    -- rows without a number count nothing here, so that it does not matter where the engine sorts NULL
    numbered as (
        select
            counted.*,
            case when number_value is null then 0 else reference_count end as reference_number,
            case when number_value is null then 0 else current_count end as current_number
        from counted
    ),

    numbers as (
        select
            {{ groups }},
            nullif(sum(reference_number), 0) as reference_numbers,
            nullif(sum(current_number), 0) as current_numbers
        from numbered
        group by {{ groups }}
    ),

    running as (
        select
            numbered.*,
            sum(reference_number) over upward as reference_up_to,
            sum(current_number) over upward as current_up_to
        from numbered
        window upward as (
            partition by {{ groups }} order by number_value rows between unbounded preceding and current row
        )
    ),

    cumulated as (
        select
            running.*,
            numbers.reference_numbers,
            numbers.current_numbers
        from running
        inner join numbers
            on
                {%- for column in group_by %}
                {{ 'and ' if not loop.first }}running.{{ column }} = numbers.{{ column }}
                {%- endfor %}
    ),

    -- how many tenths of the reference lie wholly below a value is the number of deciles below it
    placed as (
        select
            cumulated.*,
            case
                when category_value is not null then 0
                when number_value is null then -2
                when reference_up_to = 0 then -1
                else floor(10 * (reference_up_to - reference_number) / reference_numbers)
            end as bin
        from cumulated
    ),

    binned as (
        select
            {{ groups }},
            category_value,
            bin,
            sum(reference_count) as reference_count,
            sum(current_count) as current_count,
            max(
                case
                    when number_value is not null
                        then abs(
                            reference_up_to / reference_numbers
                            - current_up_to / current_numbers
                        )
                end
            ) as distance
        from placed
        group by {{ groups }}, category_value, bin
    ),

    totals as (
        select
            binned.*,
            count(*) over whole as bins,
            sum(reference_count) over whole as reference_rows,
            sum(current_count) over whole as current_rows
        from binned
        window whole as (partition by {{ groups }})
    ),

    shares as (
        select
            totals.*,
            (reference_count + 0.5) / (reference_rows + 0.5 * bins) as reference_share,
            (current_count + 0.5) / (current_rows + 0.5 * bins) as current_share
        from totals
    ),

    summed as (
        select
            {{ groups }},
            max(bins) as bins,
            max(reference_rows) as reference_rows,
            max(current_rows) as current_rows,
            sum(case when bin = -2 then reference_count else 0 end) as reference_nulls,
            sum(case when bin = -2 then current_count else 0 end) as current_nulls,
            sum((current_share - reference_share) * ln(current_share / reference_share)) as psi,
            max(distance) as ks
        from shares
        group by {{ groups }}
    ),

    pooled as (
        select
            summed.*,
            (reference_nulls + current_nulls) / (reference_rows + current_rows) as null_share,
            1 / nullif(reference_rows, 0) + 1 / nullif(current_rows, 0) as noise_scale
        from summed
    )

    select
        {{ groups }},
        cast(reference_rows as bigint) as reference_rows,
        cast(current_rows as bigint) as current_rows,
        reference_nulls / nullif(reference_rows, 0) as reference_null_share,
        current_nulls / nullif(current_rows, 0) as current_null_share,
        3 * sqrt(null_share * (1 - null_share) * noise_scale) as null_share_noise,
        case when reference_rows > 0 and current_rows > 0 then psi end as psi,
        noise_scale * (bins - 1 + 3 * sqrt(2.0 * (bins - 1))) as psi_noise,
        ks
    from pooled
{%- endmacro %}
