"""What a process holds is bounded: one budget for every connection, and joins and training read what
they need.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from task_worlds import QUESTIONS

from ml import engine, tasks
from ml.core import frames, memory
from ml.core.errors import InsighteraError
from ml.core.use_case import Build
from ml.engine import duckdb_plugin
from ml.features import point_in_time
from ml.training import rows as training_rows

GIB = 2**30
START = datetime(2024, 1, 1)


@pytest.fixture
def read_rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many rows the join reads into this process, by what they are."""
    found: dict[str, int] = {}

    def counted(frame: Any, what: str) -> pa.Table:
        table = frames.to_arrow(frame, what)
        found[what] = found.get(what, 0) + len(table)
        return table

    monkeypatch.setattr(point_in_time, "to_arrow", counted)
    return found


@pytest.fixture
def history() -> duckdb.DuckDBPyConnection:
    """`versions`: 200 entities with a version a day for 300 days, every third of them corrected five
    days later; `spine`: three instants of twenty entities, and one of somebody unknown.
    """
    connection = duckdb.connect()
    connection.execute(
        f"""
        create table versions as
        with days as (
            select e as nim, d, timestamp '{START}' + to_days(d::integer) as valid_from
            from range(200) as entities (e) cross join range(300) as days (d)
        )

        select
            nim, valid_from, valid_from + interval 1 day as valid_to, d as value,
            valid_from as system_from,
            if(d % 3 = 0, valid_from + interval 5 day, timestamp '9999-12-31') as system_to
        from days
        union all
        select
            nim, valid_from, valid_from + interval 1 day, d + 1000,
            valid_from + interval 5 day, timestamp '9999-12-31'
        from days
        where d % 3 = 0;
        create table spine as
        select nim, timestamp '{START}' + to_hours(24 * day::integer + 7) as cutoff
        from range(0, 200, 10) as entities (nim) cross join (values (30), (31), (150)) as days (day)
        union all
        select -1, timestamp '{START}' + interval 30 day;
        """
    )
    return connection


@pytest.mark.parametrize("known_at", [None, "cutoff", START + timedelta(days=33)])
def test_a_join_reads_the_versions_that_are_asked_for(
    history: duckdb.DuckDBPyConnection, read_rows: dict[str, int], known_at: Any
) -> None:
    asked = {"entity_keys": ["nim"], "timestamp": "cutoff", "known_at": known_at}
    spine, versions = history.table("spine"), history.table("versions")
    found = point_in_time.point_in_time_join(spine, {"x": versions}, connection=history, **asked)
    assert 20 <= read_rows["feature table 'x'"] <= 2 * len(found)
    whole = {"x": versions.to_arrow_table()}
    assert found.equals(point_in_time.point_in_time_join(spine, whole, **asked))
    assert found.column("value").null_count < len(found)


def test_a_key_of_another_type_is_compared_as_the_join_does(
    history: duckdb.DuckDBPyConnection,
) -> None:
    spine = history.sql("select cast(nim as double) as nim, cutoff from spine")
    asked = {"entity_keys": ["nim"], "timestamp": "cutoff"}
    found = point_in_time.point_in_time_join(
        spine, {"x": history.table("versions")}, connection=history, **asked
    )
    whole = {"x": history.table("versions").to_arrow_table()}
    assert found.equals(point_in_time.point_in_time_join(spine, whole, **asked))


@pytest.mark.parametrize("name", QUESTIONS)
def test_training_keeps_the_sample_and_not_the_label(name: str) -> None:
    question = QUESTIONS[name]()
    spine = question.spine(question.asked_at)
    asked = len(spine.to_arrow_table())
    most = asked // 10
    (row,) = question.build(question.asked_at, "run-1", max_rows=most).to_arrow_table().to_pylist()
    task = tasks.of(Build.of(row).use_case(question.name))
    with engine.opened() as on:
        rows = training_rows.matured(on, spine, task, question.asked_at)
        kept = on._work.execute("select sum(estimated_size) from duckdb_tables()").fetchone()[0]
    assert rows.sampled
    assert 0 < len(rows) <= most
    assert len(rows) <= kept < asked / 2  # with one row of each entity


@pytest.mark.parametrize(
    ("told", "bytes_"),
    [("8GB", 8 * 10**9), ("1.5 GiB", 3 * GIB // 2), ("512m", 512 * 10**6), ("2048", 2048)],
)
def test_the_budget_is_what_the_variable_says(
    told: str, bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIGHTERA_MEMORY", told)
    assert memory.budget() == bytes_


@pytest.mark.parametrize("told", ["much", "-1GB", "0", "8 GX"])
def test_a_budget_that_is_none_is_said_so(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSIGHTERA_MEMORY", told)
    with pytest.raises(InsighteraError, match="write an amount such as 8GB"):
        memory.budget()


def test_without_the_variable_it_is_half_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSIGHTERA_MEMORY", raising=False)
    with duckdb.connect() as connection:  # DuckDB takes four fifths by itself
        (own,) = connection.execute("select current_setting('memory_limit')").fetchone()
    amount, unit = own.split()
    theirs = float(amount) * 1024 ** ("KiB", "MiB", "GiB", "TiB").index(unit) * 1024
    assert memory.budget() == pytest.approx(theirs / 0.8 / 2, rel=0.02)


def limit(connection: Any) -> tuple[str, str]:
    """A connection's bound, and where it spills."""
    asked = "select current_setting('memory_limit'), current_setting('temp_directory')"
    found: tuple[str, str] = connection.execute(asked).fetchone()
    return found


def test_every_connection_keeps_to_its_share_and_spills_into_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIGHTERA_MEMORY", "10GiB")
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path))
    monkeypatch.delenv("INSIGHTERA_RAW", raising=False)
    plugin = object.__new__(duckdb_plugin.Plugin)
    with duckdb.connect() as warehouse, engine.opened() as on, memory.connect() as another:
        plugin.configure_connection(warehouse)
        bounds, folders = zip(*map(limit, (warehouse, on._work, another)), strict=True)
    assert bounds == ("5.0 GiB", "1.5 GiB", "1.5 GiB")
    assert all(Path(folder).parent == tmp_path for folder in folders)
    assert len(set(folders)) == 3


def test_what_does_not_fit_is_spilled_and_what_was_killed_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIGHTERA_MEMORY", "700MB")
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path))
    (tmp_path / "spill.999999999.0").mkdir()
    memory.clear()
    assert not list(tmp_path.iterdir())
    with memory.connect() as connection:
        connection.execute("set preserve_insertion_order = false")
        connection.execute(
            "create table held as select hash(i) as h from range(30_000_000) as t (i)"
        )
        assert list(tmp_path.iterdir())
        assert connection.execute("select count(*) from held").fetchone() == (30_000_000,)
    assert not list(tmp_path.iterdir())


def test_no_connection_is_opened_beside_the_budget() -> None:
    """The importer of OULAD has a bound of its own, whatever the machine has."""
    package = Path(memory.__file__).parents[1]
    own = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "duckdb.connect(" in path.read_text(encoding="utf-8")
    }
    assert own == {"core/memory.py", "raw/importers/oulad.py"}
