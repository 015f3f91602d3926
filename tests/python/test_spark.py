"""The same project on Spark: what it builds is what DuckDB builds, and every engine can read it."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from conftest import EARLIER, FEATURE_TABLES, LATER, PROJECT, SparkUniversity, University, run_dbt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def models(folder: str, pattern: str = "*") -> list[str]:
    """Names of the project's models below a folder."""
    held = (PROJECT / folder).rglob(f"{pattern}.yml")
    return sorted(path.stem for path in held if not path.stem.startswith("_"))


BUILT = (
    *(("gold", name) for name in models("models/gold")),
    *(("features", name) for name in FEATURE_TABLES),
    *(("labels", name) for name in models("models/labels")),
)
PUBLISHED = (
    *(
        ("published", name)
        for name in models("python_models/publishing")
        if name != "published_receipts"
    ),
    ("monitoring", "monitor_drift"),
    *(("monitoring", name) for name in models("models/monitoring", "monitor_population_*")),
    *(("monitoring", name) for name in models("python_models/lake", "monitor_*")),
    ("reporting", "report_academic_semester"),
    ("reporting", "report_courses"),
    ("reporting", "report_drift"),
    ("reporting", "report_dropout_risk_factors"),
    ("reporting", "report_enrolment"),
    ("reporting", "report_quarantine"),
    ("reporting", "report_student_dropout_risk"),
)
OF_A_RUN = {"run_id"}  # which build wrote a row
# Without a champion on these data, and without a review: both engines must leave them empty.
EMPTY = {
    "published_academic_excellence",
    "monitor_training_academic_excellence",
    "monitor_reviews",
}

pytestmark = [pytest.mark.slow, pytest.mark.spark]


def of_duckdb(university: University, schema: str, name: str) -> pa.Table:
    """A table as DuckDB built it."""
    import duckdb

    with duckdb.connect(str(university.home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(f"from {schema}.{name}").to_arrow_table()


def difference(left: pa.Table, right: pa.Table) -> str:
    """Where two tables differ, as multisets of rows; floats may by 1e-9. Empty where they do not."""
    if left.column_names != right.column_names:
        return f"columns {left.column_names} and {right.column_names}"
    if len(left) != len(right):
        return f"{len(left)} and {len(right)} rows"
    frames = [
        table.to_pandas(date_as_object=True, timestamp_as_object=True) for table in (left, right)
    ]
    exact = [c for c in left.column_names if not pa.types.is_floating(left.schema.field(c).type)]
    ordered = [
        frame.assign(**{f"__{c}": frame[c].map(str) for c in exact})
        .sort_values(
            [*(f"__{c}" for c in exact), *(c for c in left.column_names if c not in exact)]
        )
        .reset_index(drop=True)
        for frame in frames
    ]
    for column in left.column_names:
        if column in exact:
            same = (ordered[0][f"__{column}"] == ordered[1][f"__{column}"]).to_numpy()
        else:
            one, two = (frame[column].to_numpy(dtype=float) for frame in ordered)
            same = np.isclose(one, two, rtol=0, atol=1e-9, equal_nan=True)
        if not same.all():
            row = int(np.flatnonzero(~same)[0])
            return (
                f"{column}: {ordered[0].iloc[row].to_dict()} and {ordered[1].iloc[row].to_dict()}"
            )
    return ""


@pytest.mark.parametrize(("schema", "name"), [*BUILT, *PUBLISHED])
def test_both_engines_build_the_same(
    engines: tuple[University, SparkUniversity], schema: str, name: str
) -> None:
    """Row for row, hashes and predictions included, after a full build and an incremental one."""
    on_duckdb, on_spark = engines
    expected = of_duckdb(on_duckdb, schema, name)
    expected = expected.drop_columns(sorted(OF_A_RUN & set(expected.column_names)))
    found = on_spark.table(schema, name)
    found = found.drop_columns(sorted(OF_A_RUN & set(found.column_names)))
    assert (len(expected) == 0) == (name in EMPTY), "an empty table proves nothing"
    assert difference(expected, found) == ""


def test_types_are_the_same(engines: tuple[University, SparkUniversity]) -> None:
    """Instants come without a zone, numbers as wide: a reader need not know who wrote."""
    on_duckdb, on_spark = engines
    for schema, name in (*BUILT, *PUBLISHED):
        expected = of_duckdb(on_duckdb, schema, name).schema
        found = on_spark.table(schema, name).schema
        for field in expected:
            kind = found.field(field.name).type
            text = pa.types.is_string(field.type) and pa.types.is_large_string(kind)
            assert text or kind == field.type, f"{schema}.{name}.{field.name}: {field.type}, {kind}"


def test_corrections_were_kept(engines: tuple[University, SparkUniversity]) -> None:
    """The incremental build on Spark corrected history, else the comparison shows too little."""
    corrected = [
        value
        for name in FEATURE_TABLES
        for value in engines[1].table("features", name)["system_to"].to_pylist()
        if value.year < 9999
    ]
    assert corrected


def test_each_engine_goes_on_where_the_other_stopped(
    engines: tuple[University, SparkUniversity],
) -> None:
    """One catalog, one model: what Spark published DuckDB has nothing to add to, and reads."""
    on_duckdb, on_spark = engines
    main = on_spark.table("ml", "student_dropout_risk")
    output = on_duckdb.build("--select", "this_build", "score_student_dropout+1", as_of=str(LATER))
    assert "nothing changed for" in output
    assert on_spark.table("ml", "student_dropout_risk").equals(main)
    risk = of_duckdb(on_duckdb, "published", "published_student_dropout_risk")
    assert set(risk["run_id"].to_pylist()) == set(main["run_id"].to_pylist())


def test_failed_audit_on_spark_publishes_nothing(
    engines: tuple[University, SparkUniversity],
) -> None:
    """`main` and the serving file stay, the rows wait on their branch, and the message says so. The
    build is as of an instant before every prediction: everybody is scored."""
    on_spark = engines[1]
    serving = (on_spark.home / "serving.duckdb").read_bytes()
    main = on_spark.table("ml", "student_dropout_risk")
    failed = on_spark.dbt(
        *("build", "--select", "this_build", "label_student_dropout", "score_student_dropout"),
        *("published_student_dropout_risk", "serve_reports", "--exclude", "test_type:singular"),
        *("--vars", "{largest_high_share: -1}"),
        INSIGHTERA_AS_OF=str(EARLIER),
    )
    assert failed.returncode == 1
    for name in ("published.published_student_dropout_risk", "serve_reports"):
        assert re.search(rf"SKIP relation .*{name}", failed.stdout), failed.stdout
    assert on_spark.table("ml", "student_dropout_risk").equals(main)
    assert (on_spark.home / "serving.duckdb").read_bytes() == serving
    assert "AUDIT FAILED: student_dropout: score_student_dropout broke" in failed.stdout
    assert "insightera predictions show student_dropout --branch audit_" in failed.stdout


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A dbt project of one SQL and one Python model, and dbt run on it."""
    files = {
        "dbt_project.yml": "name: tiny\nprofile: tiny\nmodel-paths: [models]\n",
        "profiles.yml": "tiny: {target: spark, outputs: {spark: {type: icespark, schema: tiny}}}\n",
        "models/numbers.sql": "select id, cast(id * 2 as double) as twice from range(100)\n",
        "models/halves.py": (
            "def model(dbt, session):\n"
            "    dbt.config(materialized='table')\n"
            "    def halve(batches):\n"
            "        for batch in batches:\n"
            "            yield batch.assign(twice=batch['twice'] / 4)\n"
            "    return dbt.ref('numbers').mapInPandas(halve, 'id long, twice double')\n"
        ),
        "models/refused.py": (
            "def model(dbt, session):\n"
            "    from ml.core.errors import InsighteraError\n"
            "    dbt.config(materialized='table')\n"
            "    rows = dbt.ref('numbers')\n"
            "    if rows.count():\n"
            "        raise InsighteraError('Say what to do.')\n"
            "    return rows\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def dbt(*arguments: str) -> subprocess.CompletedProcess[str]:
        home = SparkUniversity(tmp_path / "home", None, tmp_path / "target")
        environment = home.env()
        del environment["DBT_PROFILES_DIR"]  # this project has one of its own
        return run_dbt(tmp_path, environment, *arguments)

    return dbt


def test_python_models_run_in_the_session(
    project: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """A Python model reads what SQL wrote, computes on the executors, and leaves an Iceberg table;
    one that refuses says why, without a stack trace."""
    done = project("run")
    assert done.returncode == 1, done.stdout
    assert "Done. PASS=2 WARN=0 ERROR=1" in done.stdout, done.stdout
    assert "Say what to do." in done.stdout
    assert "Traceback" not in done.stdout
    here = SparkUniversity(tmp_path / "home", None, tmp_path)
    rows = here.table("tiny", "halves").sort_by("id").to_pylist()
    assert rows == [{"id": n, "twice": n / 2} for n in range(100)]


def test_workers_look_for_modules_in_folders_only(spark_session: "SparkSession") -> None:
    """Else every task reads the directories of Spark's archives again: `ml.spark_daemon`."""

    def seen(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import sys

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"place": [*sys.path, *sys.path_importer_cache]})

    found = spark_session.range(1).mapInArrow(seen, "place string").toPandas()["place"]
    assert len(found)
    assert [place for place in found if ".jar" in place or "pyspark.zip" in place] == []
