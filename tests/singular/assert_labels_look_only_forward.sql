-- A label's horizon lies wholly before the build's instant, its student was active at the cutoff as known before it,
-- and only the rows at the instant itself are without a label.
with
labels as (
    select * from {{ ref('label_student_dropout') }}
),

final as (
    select
        labels.nim,
        labels.cutoff,
        labels.label
    from labels
    left join {{ ref('dim_mahasiswa') }} as mahasiswa
        on
            labels.nim = mahasiswa.nim
            and labels.cutoff > mahasiswa.valid_from
            and labels.cutoff <= mahasiswa.valid_to
            and mahasiswa.is_active
    where
        mahasiswa.nim is null
        or (labels.label is null) <> (labels.cutoff = {{ as_of() }})
        or (
            labels.label is not null
            and labels.cutoff + interval '{{ var("dropout_horizon_days") }} days' > {{ as_of() }}
        )
)

select * from final
