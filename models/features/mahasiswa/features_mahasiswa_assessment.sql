{%- set is_kept = has_rows(ref('fact_pengumpulan_tugas')) -%}
{%- set is_owed = has_rows(ref('fact_kewajiban_tugas')) -%}

with
pengumpulan as (
    select * from {{ ref('fact_pengumpulan_tugas') }}
),

kewajiban as (
    select * from {{ ref('fact_kewajiban_tugas') }}
),

scope as (
    select * from {{ feature_scope() }}
),

submissions as (
    select
        pengumpulan.nim,
        pengumpulan.id_tugas,
        pengumpulan.pengumpulan_ke,
        pengumpulan.skor,
        -- the mark that this one replaces: an unmarked submission between two marked ones takes none away
        {{ last_known('pengumpulan.skor', 'earlier_submissions') }} as previous_skor,
        {{ day_number('pengumpulan.recorded_at') }} as hari,
        pengumpulan.waktu_kumpul,
        pengumpulan.recorded_at,
        pengumpulan.loaded_at
    from pengumpulan
    inner join scope on pengumpulan.nim = scope.nim
    window
        earlier_submissions as (
            partition by pengumpulan.nim, pengumpulan.id_tugas
            order by pengumpulan.pengumpulan_ke
            rows between unbounded preceding and 1 preceding
        )
),

first_submissions as (
    select * from submissions
    where pengumpulan_ke = 1
),

-- an obligation counts from the day it is due, as long as it still stands then
due_obligations as (
    select
        kewajiban.nim,
        kewajiban.id_tugas,
        kewajiban.tenggat,
        {{ day_number('greatest(kewajiban.tenggat, kewajiban.recorded_at)') }} as due_hari,
        {{ day_number('kewajiban.ended_at') }} as ended_hari,
        kewajiban.recorded_at,
        kewajiban.loaded_at,
        kewajiban.ended_at,
        kewajiban.ended_loaded_at,
        first_submissions.hari as submitted_hari,
        first_submissions.recorded_at as submitted_at,
        first_submissions.loaded_at as submitted_loaded_at
    from kewajiban
    inner join scope on kewajiban.nim = scope.nim
    left join first_submissions
        on
            kewajiban.nim = first_submissions.nim
            and kewajiban.id_tugas = first_submissions.id_tugas
    where
        {{ day_number('greatest(kewajiban.tenggat, kewajiban.recorded_at)') }}
        < {{ day_number('kewajiban.ended_at') }}
),

late_submissions as (
    select
        first_submissions.nim,
        first_submissions.id_tugas,
        first_submissions.hari,
        first_submissions.recorded_at,
        greatest(first_submissions.loaded_at, max(kewajiban.loaded_at)) as loaded_at
    from first_submissions
    inner join kewajiban
        on
            first_submissions.nim = kewajiban.nim
            and first_submissions.id_tugas = kewajiban.id_tugas
    where
        first_submissions.recorded_at >= kewajiban.recorded_at
        and first_submissions.recorded_at < kewajiban.ended_at
        and first_submissions.waktu_kumpul > kewajiban.tenggat
    group by
        first_submissions.nim,
        first_submissions.id_tugas,
        first_submissions.hari,
        first_submissions.recorded_at,
        first_submissions.loaded_at
),

-- what changes a count, and by how much: sums of these are linear in the rows, where a join of days with rows is not
changes as (
    select
        first_submissions.nim,
        first_submissions.hari,
        1 as submitted,
        0 as due,
        0 as handed_in,
        0 as late,
        0 as scored,
        cast(0 as double) as skor,
        first_submissions.recorded_at,
        first_submissions.loaded_at
    from first_submissions
    union all
    select
        late_submissions.nim,
        late_submissions.hari,
        0 as submitted,
        0 as due,
        0 as handed_in,
        1 as late,
        0 as scored,
        0 as skor,
        late_submissions.recorded_at,
        late_submissions.loaded_at
    from late_submissions
    union all
    select
        submissions.nim,
        submissions.hari,
        0 as submitted,
        0 as due,
        0 as handed_in,
        0 as late,
        case when submissions.previous_skor is null then 1 else 0 end as scored,
        submissions.skor - coalesce(submissions.previous_skor, 0) as skor,
        submissions.recorded_at,
        submissions.loaded_at
    from submissions
    where submissions.skor is not null
    union all
    select
        due_obligations.nim,
        due_obligations.due_hari as hari,
        0 as submitted,
        1 as due,
        case when due_obligations.submitted_hari <= due_obligations.due_hari then 1 else 0 end as handed_in,
        0 as late,
        0 as scored,
        0 as skor,
        due_obligations.recorded_at,
        due_obligations.loaded_at
    from due_obligations
    union all
    -- handed in after all
    select
        due_obligations.nim,
        due_obligations.submitted_hari as hari,
        0 as submitted,
        0 as due,
        1 as handed_in,
        0 as late,
        0 as scored,
        0 as skor,
        due_obligations.submitted_at as recorded_at,
        due_obligations.submitted_loaded_at as loaded_at
    from due_obligations
    where
        due_obligations.submitted_hari > due_obligations.due_hari
        and due_obligations.submitted_hari <= due_obligations.ended_hari
    union all
    -- no longer owed: the course was dropped, or the assignment changed
    select
        due_obligations.nim,
        due_obligations.ended_hari as hari,
        0 as submitted,
        -1 as due,
        case when due_obligations.submitted_hari <= due_obligations.ended_hari then -1 else 0 end as handed_in,
        0 as late,
        0 as scored,
        0 as skor,
        due_obligations.ended_at as recorded_at,
        due_obligations.ended_loaded_at as loaded_at
    from due_obligations
    where due_obligations.ended_at < {{ end_of_time() }}
),

scores as (
    select
        submissions.nim,
        submissions.hari,
        submissions.skor,
        row_number() over (
            partition by submissions.nim
            order by submissions.recorded_at, submissions.id_tugas
        ) as urutan
    from submissions
    where submissions.skor is not null
),

score_trends as (
    select
        scores.nim,
        scores.hari,
        scores.skor,
        scores.urutan,
        {{ slope('scores.skor', 'scores.urutan', 'over last_three') }} as score_trend
    from scores
    window last_three as (partition by scores.nim order by scores.urutan rows between 2 preceding and current row)
),

daily_scores as (
    select
        score_trends.nim,
        score_trends.hari,
        max_by(score_trends.skor, score_trends.urutan) as score_last,
        max_by(score_trends.score_trend, score_trends.urutan) as score_trend
    from score_trends
    group by score_trends.nim, score_trends.hari
),

daily as (
    select
        changes.nim,
        changes.hari,
        sum(changes.submitted) as submitted,
        sum(changes.due) as due,
        sum(changes.handed_in) as handed_in,
        sum(changes.late) as late,
        sum(changes.scored) as scored,
        sum(changes.skor) as skor,
        max(changes.recorded_at) as recorded_at,
        max(changes.loaded_at) as loaded_at
    from changes
    group by changes.nim, changes.hari
),

instants as (
    {{ moving_days('daily') }}
),

daily_marks as (
    select
        daily.*,
        daily_scores.score_last,
        daily_scores.score_trend
    from daily
    left join daily_scores
        on
            daily.nim = daily_scores.nim
            and daily.hari = daily_scores.hari
),

timeline as (
    {{ moving_timeline('daily_marks', [
        'submitted', 'due', 'handed_in', 'late', 'scored', 'skor', 'score_last', 'score_trend', 'recorded_at',
        'loaded_at'
    ]) }}
),

running as (
    select
        timeline.nim,
        timeline.hari,
        timeline.is_instant,
        sum(timeline.submitted) over until_yesterday as submitted,
        sum(timeline.due) over until_yesterday as due,
        sum(timeline.handed_in) over until_yesterday as handed_in,
        sum(timeline.late) over until_yesterday as late,
        sum(timeline.scored) over until_yesterday as scored,
        sum(timeline.skor) over until_yesterday as skor,
        {{ last_known('timeline.score_last', 'until_yesterday') }} as score_last,
        {{ last_known('timeline.score_trend', 'until_yesterday') }} as score_trend,
        max(timeline.recorded_at) over until_yesterday as feature_timestamp,
        max(timeline.loaded_at) over until_yesterday as loaded_at
    from timeline
    window
        until_yesterday as ({{ days_before('unbounded') }})
),

final as (
    select
        running.nim,
        -- where nobody's submissions or obligations are kept, nought of them says nothing
        case when {{ is_kept }} then cast(running.submitted as integer) end as submitted_count,
        case when {{ is_kept }} and {{ is_owed }} then cast(running.due - running.handed_in as integer) end
            as missed_count,
        case when {{ is_kept }} and {{ is_owed }} then cast(running.late as integer) end as late_count,
        case when {{ is_kept }} then cast(running.handed_in as double) / nullif(running.due, 0) end
            as submitted_share,
        running.skor / nullif(running.scored, 0) as score_mean,
        running.score_last,
        running.score_trend,
        {{ day_start('running.hari') }} as valid_from,
        running.feature_timestamp,
        running.loaded_at
    from running
    where running.is_instant
)

select * from final
