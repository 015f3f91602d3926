"""Incremental against full scoring: `make bench-scoring` writes benchmarks/scoring.md.

A population of students with twenty features, a calibrated gradient boosting model in the
registry, predictions of a week ago on `main`. Then 1 % of the students have new features. Timed,
alternately, through the public `ml.scoring.score`, everything it does included (point-in-time
join, hashes, what was scored before, loading the model, probabilities, SHAP, Iceberg, reading
back):

- full: the same instant and population, nothing scored before
- incremental: only those whose features differ from their latest prediction

Neither is published, so every repetition meets the same state. The rows of the increment must be
the full run's rows of these students, value for value.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

REPORT = Path(__file__).with_suffix(".md")
NAME, TABLE = "student_dropout", "student_dropout_risk"
BEFORE, NOW = datetime(2024, 2, 1), datetime(2024, 2, 8)
TABLES = {
    "academic": [f"academic_{i}" for i in range(7)],
    "attendance": [f"attendance_{i}" for i in range(6)],
    "engagement": [f"engagement_{i}" for i in range(6)] + ["jalur"],
}
FEATURES = tuple(name for names in TABLES.values() for name in names)
LIMIT = 0.06

META = {
    "task": "classification",
    "outcome": "dropout",
    "entity_keys": ["nim"],
    "horizon_days": 180,
    "features": ["features_mahasiswa_academic"],
    "mandatory": [],
    "excluded": [],
    "max_features": 20,
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "grid": {},
    "cv_folds": 3,
    "max_rows": 20000,
    "thresholds": {"Low": 0.0, "Medium": 0.3, "High": 0.6},
    "promotion": {"metric": "roc_auc", "minimum": 0.5, "margin": 0.0, "max_milliseconds": 1000},
    "retrain": {"policy": "never", "max_age_days": 90},
    "output_table": TABLE,
    "attributes_from": "dim_mahasiswa_current",
    "attributes": ["nama_mahasiswa", "prodi_nama", "angkatan"],
}


def university(students: int, every: int) -> duckdb.DuckDBPyConnection:
    """Feature tables, spine and attributes; each `every`-th student changes on 5 February."""
    connection = duckdb.connect()
    connection.execute("select setseed(0.5)")
    connection.execute(
        f"""
        create table dim as
        select
            'S' || i as nim,
            'Mahasiswa ' || i as nama_mahasiswa,
            'Prodi ' || i % 40 as prodi_nama,
            2018 + i % 6 as angkatan
        from range({students}) as t (i);
        create table label as
        select nim, cutoff, cast(null as integer) as label
        from dim cross join (values (timestamp '{BEFORE}'), (timestamp '{NOW}')) as t (cutoff);
        create table versions as
        select i, valid_from, valid_from > timestamp '{BEFORE}' as is_changed,
            if(i % {every} = 0 and not is_changed, timestamp '2024-02-05', timestamp '9999-12-31')
                as valid_to
        from range({students}) as t (i)
        cross join (values (timestamp '2024-01-01'), (timestamp '2024-02-05')) as v (valid_from)
        where valid_from < timestamp '{BEFORE}' or i % {every} = 0;
        """
    )
    for table, names in TABLES.items():
        columns = ", ".join(
            f"if(random() < 0.5, 'SNBP', 'SNBT') as {name}"
            if name == "jalur"
            else f"if(random() < 0.05, null, round(random() * 10, 3) + is_changed::int) as {name}"
            for name in names
        )
        connection.execute(
            f"""
            create table {table} as
            select 'S' || i as nim, valid_from, valid_to, {columns},
                valid_from - interval 1 hour as feature_timestamp,
                md5(i || valid_from) as feature_hash,
                valid_from as system_from, timestamp '9999-12-31' as system_to
            from versions
            """
        )
    return connection


def register(connection: duckdb.DuckDBPyConnection, home: Path) -> None:
    """Train on what the tables hold and make it champion."""
    from sklearn.calibration import CalibratedClassifierCV

    from ml import registry
    from ml.features import model_input
    from ml.tasks import estimators

    joins = " ".join(f"join {table} using (nim, valid_from)" for table in list(TABLES)[1:])
    rows = connection.sql(
        f"select {', '.join(FEATURES)} from academic {joins} order by nim limit 20000"
    ).to_arrow_table()
    read = model_input.frame(rows, FEATURES)
    random = np.random.default_rng(3)
    numbers = read[[name for name in FEATURES if name != "jalur"]].fillna(5).to_numpy() - 5
    signal = numbers @ random.normal(0, 0.15, numbers.shape[1]) - 1
    label = (random.random(len(read)) < 1 / (1 + np.exp(-signal))).astype(int)
    kinds = {name: "category" if name == "jalur" else "number" for name in FEATURES}
    model = CalibratedClassifierCV(
        estimators.pipeline(META["estimator"], kinds, {"max_leaf_nodes": 15}), cv=3, ensemble=False
    ).fit(read, label)
    notes = home / "notes"
    notes.mkdir()
    registry.register(
        NAME,
        registry.draft(
            home / "draft", model, lambda held: {"probability": held.predict_proba(read.head(1))}
        ),
        verdict=registry.Verdict(True, "benchmark"),
        as_of=BEFORE,
        features=FEATURES,
        categorical=["jalur"],
        metrics={},
        parameters={},
        artifacts=notes,
        tags={},
    )


def score(connection: duckdb.DuckDBPyConnection, as_of: datetime, run_id: str) -> pa.Table:
    """The scoring model of one build."""
    from ml import scoring

    return scoring.score(
        NAME,
        build=build(connection, as_of, run_id),
        spine=connection.table("label"),
        features={name: connection.table(name) for name in TABLES},
        attributes=connection.table("dim"),
        connection=connection,
    )


def build(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, run_id: str
) -> duckdb.DuckDBPyRelation:
    """`this_build`."""
    return connection.sql(
        "select $a::timestamp as as_of, $r as run_id, $u as use_cases, '[]' as protected",
        params={"a": as_of, "r": run_id, "u": json.dumps({NAME: META})},
    )


def import_all() -> None:
    """What any run that scores something imports, once in a process."""
    import shap

    from ml import publishing, registry, scoring
    from ml.tasks import explain

    registry.list_versions("none")
    assert all((shap, explain, publishing, scoring))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    begin = time.perf_counter()
    rows = work()
    return time.perf_counter() - begin, rows


def mismatches(full: pa.Table, part: pa.Table) -> int:
    """Rows of `part` that are not, value for value, the full run's."""
    connection = duckdb.connect()
    own = ["run_id", "inference_type"]  # these say which run wrote the row
    connection.register("complete", full.drop_columns(own))
    connection.register("part", part.drop_columns(own))
    return connection.execute(
        "select count(*) from (select * from part except all select * from complete)"
    ).fetchall()[0][0]


def stages(work: Callable[[], pa.Table]) -> list[tuple[str, float]]:
    """Seconds by stage of one call, by profile (which itself costs a little)."""
    profile = cProfile.Profile()
    profile.runcall(work)
    found = {
        (Path(file).stem, function): cumulative
        for (file, _, function), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items()
    }
    wanted = {
        "who is champion (registry)": ("registry", "list_versions"),
        "point-in-time join": ("engine", "joined_at"),
        "hashes, compared with what was scored before": ("scoring", "_pending"),
        "model read and checked": ("registry", "load"),
        "probabilities, SHAP, rows": ("scoring", "predicted"),
        "Iceberg commits": ("lake", "append"),
        "read back from the branch": ("engine", "answer"),
    }
    return [(label, found.get(key, 0.0)) for label, key in wanted.items()]


def main() -> int:
    """Measure, write the report, and fail where the limit or the identity is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--students", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--every", type=int, default=100, help="each so many students change")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="insightera-bench-"))
    for name in ("MLFLOW_TRACKING_URI", "INSIGHTERA_LAKE", "INSIGHTERA_CATALOG_URI"):
        os.environ.pop(name, None)
    os.environ["INSIGHTERA_HOME"] = str(folder)
    try:
        return measure(options.students, options.repeats, options.every, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(students: int, repeats: int, every: int, folder: Path) -> int:
    """The benchmark proper; exit code."""
    imports, _ = timed(import_all)
    from ml import publishing, scoring

    connection = university(students, every)
    register(connection, folder)
    audited = score(connection, BEFORE, "week-ago")
    connection.register("audited", audited)
    published = publishing.publish(
        NAME,
        build=build(connection, BEFORE, "week-ago"),
        audited=connection.table("audited"),
        connection=connection,
    )
    assert published.num_rows == students

    full_seconds, part_seconds, unequal = [], [], 0
    for repeat in range(repeats):
        os.environ["INSIGHTERA_LAKE"] = str(folder / f"empty-{repeat}")
        os.environ["INSIGHTERA_CATALOG_URI"] = f"sqlite:///{folder}/empty-{repeat}/catalog.db"
        seconds, full = timed(lambda: score(connection, NOW, "full"))
        full_seconds.append(seconds)
        del os.environ["INSIGHTERA_LAKE"], os.environ["INSIGHTERA_CATALOG_URI"]
        seconds, part = timed(lambda repeat=repeat: score(connection, NOW, f"part-{repeat}"))
        part_seconds.append(seconds)
        unequal += mismatches(full, part)
        assert full.num_rows == students
        assert part.num_rows == -(-students // every), part.num_rows
    unchanged, nothing = timed(lambda: score(connection, BEFORE, "nothing"))
    assert nothing.num_rows == 0
    parts = stages(lambda: score(connection, NOW, "profiled"))

    ratio = statistics.median(p / f for p, f in zip(part_seconds, full_seconds, strict=True))
    rows = "\n".join(
        f"| {i + 1} | {f:.1f} | {p:.2f} | {p / f:.1%} |"
        for i, (f, p) in enumerate(zip(full_seconds, part_seconds, strict=True))
    )
    report = f"""# Incremental against full scoring

`make bench-scoring` wrote this. {students:,} students, {len(FEATURES)} features in
{len(TABLES)} tables, calibrated gradient boosting of 100 trees, {part.num_rows:,} students
({1 / every:.0%}) with new features; batches of {scoring.BATCH_ROWS:,} rows. Python
{platform.python_version()}, DuckDB {duckdb.__version__}, {os.cpu_count()} cores. Each run is the
whole of `ml.scoring.score`; full and incremental runs alternate. Imports ({imports:.0f} s, once in
a process, in any run that scores something) come before.

| repetition | full, s | incremental, s | ratio |
|---|---|---|---|
{rows}

Median ratio **{ratio:.1%}** (limit {LIMIT:.0%}). Rows of the increment that differ from the full
run's rows of these students (probability, category, hash, factors, every other column):
**{unequal}**. With nothing to score: {unchanged:.2f} s.

Where an increment's time goes (one profiled run):

| stage | s |
|---|---|
{chr(10).join(f"| {label} | {seconds:.2f} |" for label, seconds in parts)}
"""
    REPORT.write_text(report)
    print(report)
    return 0 if ratio <= LIMIT and unequal == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
