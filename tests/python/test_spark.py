"""The same project on Spark: what it builds is what DuckDB builds, and every engine can read it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import FEATURE_TABLES, PROJECT, University
from pyiceberg.catalog.sql import SqlCatalog

from ml import spark

GOLD = (
    "dim_mahasiswa",
    "dim_mahasiswa_current",
    "dim_mata_kuliah",
    "dim_program_studi",
    "dim_tugas",
    "dim_waktu",
    "fact_aktivitas_lms",
    "fact_kehadiran_mahasiswa",
    "fact_kewajiban_tugas",
    "fact_pengumpulan_tugas",
    "fact_perkuliahan",
)
TABLES = (
    *(("gold", name) for name in GOLD),
    *(("features", name) for name in FEATURE_TABLES),
    ("labels", "label_student_dropout"),
)
# Python models and what hangs on them; tests are the engines' own business here.
SQL_MODELS = (
    *("--select", "+path:models/gold", "+path:models/features", "+path:models/labels"),
    *("--exclude", "resource_type:test", "resource_type:unit_test"),
)
# rows recorded before the first instant are loaded between the two: the second build corrects
EARLIER, LATER = "2024-03-16", "2024-03-25"

lacking = spark.problems()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking), reason="; ".join(lacking) or "Spark is here"),
]


def of_iceberg(home: Path, schema: str, name: str) -> pa.Table:
    """A table that Spark wrote, read without Spark."""
    lake = home / "lake"
    catalog = SqlCatalog("lake", uri=f"sqlite:///{lake / 'catalog.db'}", warehouse=lake.as_uri())
    return catalog.load_table((schema, name)).scan().to_arrow()


def of_duckdb(university: University, schema: str, name: str) -> pa.Table:
    """The same table, as DuckDB built it."""
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


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, small_raw: Path
) -> tuple[University, University]:
    """One raw folder, built by both engines at one instant and then, incrementally, at a later one."""
    folder = tmp_path_factory.mktemp("engines")
    duckdb, on_spark = (
        University(folder / name, small_raw, folder / f"{name}-target")
        for name in ("duckdb", "spark")
    )
    for instant in (EARLIER, LATER):
        duckdb.build(*SQL_MODELS, as_of=instant)
        on_spark.build(
            "--target", "spark", *SQL_MODELS, as_of=instant, INSIGHTERA_SPARK_PARTITIONS="2"
        )
    return duckdb, on_spark


@pytest.mark.parametrize(("schema", "name"), TABLES)
def test_both_engines_build_the_same(
    both: tuple[University, University], schema: str, name: str
) -> None:
    """Row for row, hashes included, after a full build and an incremental one."""
    duckdb, on_spark = both
    expected = of_duckdb(duckdb, schema, name)
    assert len(expected), "an empty table proves nothing"
    assert difference(expected, of_iceberg(on_spark.home, schema, name)) == ""


def test_types_are_the_same(both: tuple[University, University]) -> None:
    """Instants come without a zone, numbers as wide: a reader need not know who wrote."""
    duckdb, on_spark = both
    for schema, name in TABLES:
        expected = of_duckdb(duckdb, schema, name).schema
        found = of_iceberg(on_spark.home, schema, name).schema
        for field in expected:
            kind = found.field(field.name).type
            text = pa.types.is_string(field.type) and pa.types.is_large_string(kind)
            assert text or kind == field.type, f"{schema}.{name}.{field.name}: {field.type}, {kind}"


def test_corrections_were_kept(both: tuple[University, University]) -> None:
    """The incremental build on Spark corrected history, else the comparison shows too little."""
    corrected = [
        value
        for name in FEATURE_TABLES
        for value in of_iceberg(both[1].home, "features", name)["system_to"].to_pylist()
        if value.year < 9999
    ]
    assert corrected


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
            "    from ml.errors import InsighteraError\n"
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
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("INSIGHTERA_", "DBT_"))
        }
        return subprocess.run(
            [Path(sys.executable).parent / "dbt", "--no-use-colors", *arguments],
            cwd=tmp_path,
            env=inherited | {"INSIGHTERA_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
        )

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
    rows = of_iceberg(tmp_path / "home", "tiny", "halves").sort_by("id").to_pylist()
    assert rows == [{"id": n, "twice": n / 2} for n in range(100)]
