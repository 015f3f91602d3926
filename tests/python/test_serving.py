"""The serving file: the old one or the new one, whole, whatever happens to the writer."""

import os
import signal
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from scoring_world import in_process

from ml.core import settings
from ml.publishing import serving

AS_OF = datetime(2024, 2, 1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INSIGHTERA_HOME", str(tmp_path))
    return tmp_path


def replace(last: int) -> dict[str, object]:
    """Serve the numbers up to `last`, twice, as reports."""
    connection = duckdb.connect()
    build = connection.sql(
        "select $as_of::timestamp as as_of, 'run-1' as run_id, '{}' as use_cases, '[]' as protected",
        params={"as_of": AS_OF},
    )
    connection.execute(
        f"""
        create table many as
        select
            range as number, 'n' || range as name, date '2024-02-01' as day, [range] as list,
            range / 4.0 as share, timestamp '2024-02-01 08:00:00' as at
        from range({last});
        create view few as select number from many where number % 2 = 0;
        """
    )
    tables = {"report_many": connection.table("many"), "report_few": connection.table("few")}
    return serving.replace(build=build, tables=tables, connection=connection).to_pylist()[0]


def count() -> int:
    with duckdb.connect(str(settings.serving()), read_only=True) as reader:
        return reader.table("report_many").count("*").fetchall()[0][0]


def test_tables_arrive_with_their_rows_and_types() -> None:
    summary = replace(250_000)
    with duckdb.connect(str(settings.serving()), read_only=True) as reader:
        rows = reader.sql("from report_many order by number limit 1").fetchall()
        types = [str(kind) for kind in reader.table("report_many").types]
        assert reader.table("report_few").count("*").fetchall() == [(125_000,)]
    assert rows == [
        (0, "n0", AS_OF.date(), [0], 0.0, datetime(2024, 2, 1, 8)),
    ]
    assert types == ["BIGINT", "VARCHAR", "DATE", "BIGINT[]", "DOUBLE", "TIMESTAMP"]
    assert summary == {
        "run_id": "run-1",
        "as_of": AS_OF,
        "tables": 2,
        "rows": 375_000,
        "bytes": settings.serving().stat().st_size,
        "file": "serving.duckdb",
    }


def test_open_reader_keeps_the_file_it_opened(home: Path) -> None:
    replace(10)
    with duckdb.connect(str(settings.serving()), read_only=True) as reader:
        replace(20)
        assert reader.table("report_many").count("*").fetchall() == [(10,)]
    assert count() == 20
    assert [path.name for path in home.iterdir()] == ["serving.duckdb"]


def replace_and_die(home: str, moment: str) -> None:
    """Serve 20 numbers, killed while the file is written or just before the rename."""
    os.environ["INSIGHTERA_HOME"] = home

    def die(*arguments: object) -> None:  # noqa: ARG001
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "before the rename":
        Path.replace = die
    else:
        real, calls = serving.identifier, []

        def deadly(name: str) -> str:
            calls.append(name)
            if name == "report_few":
                die()
            return real(name)

        serving.identifier = deadly
    replace(20)


@pytest.mark.parametrize("moment", ["between tables", "before the rename"])
def test_killed_writer_leaves_the_old_file_and_the_next_clears_up(home: Path, moment: str) -> None:
    replace(10)
    assert in_process(replace_and_die, str(home), moment) == -9
    assert count() == 10
    assert len(list(home.iterdir())) > 1
    replace(30)
    assert count() == 30
    assert [path.name for path in home.iterdir()] == ["serving.duckdb"]


def test_file_of_a_process_that_still_writes_is_left_alone(home: Path) -> None:
    theirs = home / f"serving.duckdb.{os.getppid()}.new"
    theirs.write_text("half of it")
    replace(10)
    assert theirs.exists()


def test_relation_that_fails_leaves_the_old_file(home: Path) -> None:
    replace(10)
    connection = duckdb.connect()
    build = connection.sql(
        "select now()::timestamp as as_of, 'r' as run_id, '{}' as use_cases, '[]' as protected"
    )
    connection.execute("create table bad as select 'x' as number")
    broken = connection.table("bad").project("cast(number as integer) as number")
    with pytest.raises(duckdb.Error):
        serving.replace(build=build, tables={"report_many": broken}, connection=connection)
    assert count() == 10
    assert [path.name for path in home.iterdir()] == ["serving.duckdb"]
