with
perkuliahan as (
    select * from {{ ref('fact_perkuliahan') }}
),

scope as (
    select * from {{ feature_scope() }}
),

grades as (
    select
        perkuliahan.nim,
        perkuliahan.kode_mk,
        perkuliahan.semester,
        perkuliahan.sks,
        perkuliahan.bobot,
        perkuliahan.is_passed,
        {{ day_number('perkuliahan.recorded_at') }} as hari,
        {{ day_number('perkuliahan.superseded_at') }} as superseded_hari,
        perkuliahan.recorded_at,
        perkuliahan.loaded_at
    from perkuliahan
    inner join scope on perkuliahan.nim = scope.nim
),

instants as (
    {{ moving_days('grades') }}
),

-- each instant beside the grades that stood on it: few of either, since grades come once a semester
standing as (
    select
        instants.nim,
        instants.hari as valid_hari,
        grades.kode_mk,
        grades.semester,
        grades.sks,
        grades.bobot,
        grades.is_passed,
        grades.recorded_at,
        grades.loaded_at
    from instants
    inner join grades
        on
            instants.nim = grades.nim
            and instants.hari > grades.hari
            and instants.hari <= grades.superseded_hari
),

semesters as (
    select
        standing.nim,
        standing.valid_hari,
        standing.semester,
        row_number() over (
            partition by standing.nim, standing.valid_hari
            order by standing.semester desc
        ) as semester_rank,
        {{ weighted_gpa('standing') }} as gpa
    from standing
    group by standing.nim, standing.valid_hari, standing.semester
),

recent as (
    select
        semesters.nim,
        semesters.valid_hari,
        max(case when semesters.semester_rank = 1 then semesters.gpa end) as gpa_semester,
        -- rank counts backwards, so the slope over time is the negative one
        -{{ slope(
            'case when semesters.semester_rank <= 3 then semesters.gpa end',
            'case when semesters.semester_rank <= 3 then semesters.semester_rank end'
        ) }} as gpa_trend_slope,
        count(*) as semester_count
    from semesters
    group by semesters.nim, semesters.valid_hari
),

-- a course that was repeated earns its credits once; NULL where it was passed and nobody knows its credits
courses as (
    select
        standing.nim,
        standing.valid_hari,
        standing.kode_mk,
        case
            when max(case when standing.is_passed then 1 else 0 end) = 0 then 0
            else max(case when standing.is_passed then standing.sks end)
        end as sks_earned
    from standing
    group by standing.nim, standing.valid_hari, standing.kode_mk
),

credits as (
    select
        courses.nim,
        courses.valid_hari,
        -- a sum without the unknown would be too small, and look like any other
        case when count(*) = count(courses.sks_earned) then sum(courses.sks_earned) end as credit_earned_total
    from courses
    group by courses.nim, courses.valid_hari
),

totals as (
    select
        standing.nim,
        standing.valid_hari,
        {{ weighted_gpa('standing') }} as gpa_cumulative,
        count(*) as courses_taken_total,
        count(case when not standing.is_passed then 1 end) as courses_failed_count,
        max(standing.recorded_at) as feature_timestamp,
        max(standing.loaded_at) as loaded_at
    from standing
    group by standing.nim, standing.valid_hari
),

final as (
    select
        totals.nim,
        recent.gpa_semester,
        totals.gpa_cumulative,
        recent.gpa_trend_slope,
        case
            -- rounded: a slope of a tenth is stable however its last bit fell
            when round(recent.gpa_trend_slope, 9) > 0.1 then 'naik'
            when round(recent.gpa_trend_slope, 9) < -0.1 then 'turun'
            when recent.gpa_trend_slope is not null then 'stabil'
        end as gpa_trend,
        cast(credits.credit_earned_total as integer) as credit_earned_total,
        cast(credits.credit_earned_total as double) / recent.semester_count as credit_velocity,
        cast(totals.courses_taken_total as integer) as courses_taken_total,
        cast(totals.courses_failed_count as integer) as courses_failed_count,
        cast(totals.courses_failed_count as double) / totals.courses_taken_total as fail_rate,
        {{ day_start('totals.valid_hari') }} as valid_from,
        totals.feature_timestamp,
        totals.loaded_at
    from totals
    inner join recent
        on
            totals.nim = recent.nim
            and totals.valid_hari = recent.valid_hari
    inner join credits
        on
            totals.nim = credits.nim
            and totals.valid_hari = credits.valid_hari
)

select * from final
