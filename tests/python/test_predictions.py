"""What `insightera predictions` shows, over real published predictions."""

import csv
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from prediction_cases import CASES, Case
from scoring_world import FIRST, LATER, TABLE, World, copy_store, use_home

from ml import lake, registry
from ml.cli import files, replay, screen
from ml.cli import main as cli
from ml.core.errors import InsighteraError
from ml.lake import prediction_tables
from ml.publishing import predictions

STUDENTS = 30


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two publications; at the second, S0 … S27 in threes have changed, and one student is new."""
    home = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        use_home(home, patch)
        copy_store(home)
        world = World(STUDENTS, every=3)
        world.connection.execute("delete from label where nim = 'S1' and cutoff < '2024-02-08'")
        world.run(FIRST, "run-1")
        world.run(LATER, "run-2")
    return home


@pytest.fixture(autouse=True)
def at_home(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(published, monkeypatch)


def test_show_is_one_row_per_student_at_a_time() -> None:
    now = predictions.show(TABLE)
    then = predictions.show(TABLE, as_of="2024-02-01")
    between = predictions.show(TABLE, as_of="2024-02-07T23:59:59")
    assert now["nim"].to_pylist() == sorted(f"S{i}" for i in range(STUDENTS))
    assert then.num_rows == STUDENTS - 1
    assert between.equals(then)
    assert predictions.show(TABLE, as_of=LATER).equals(now)
    assert predictions.show(TABLE, as_of="2024-01-31").num_rows == 0
    assert predictions.show(TABLE, as_of="2024-02-08T06:59:59+07:00").equals(then)
    assert predictions.show(TABLE, as_of="2024-02-08T00:00:00Z").equals(now)


def test_show_reads_a_snapshot_or_a_branch() -> None:
    second, first = (entry.id for entry in lake.history(TABLE))
    then = predictions.show(TABLE, as_of=FIRST)
    assert predictions.show(TABLE, snapshot=first).equals(then)
    assert predictions.show(TABLE, snapshot=str(second)).equals(predictions.show(TABLE))
    lake.create_branch(TABLE, "audit_x", first)
    assert predictions.show(TABLE, branch="audit_x").equals(then)
    lake.drop_branch(TABLE, "audit_x")


def test_diff_lists_who_appeared_vanished_and_changed() -> None:
    rows = {
        row["nim"]: row for row in predictions.diff(TABLE, "2024-02-01", "2024-02-08").to_pylist()
    }
    then = {row["nim"]: row for row in predictions.show(TABLE, as_of=FIRST).to_pylist()}
    now = {row["nim"]: row for row in predictions.show(TABLE).to_pylist()}
    differ = {
        nim
        for nim, row in now.items()
        if nim not in then or row["dropout_probability"] != then[nim]["dropout_probability"]
    }
    assert set(rows) == differ
    assert len(differ) > 2
    assert rows["S1"]["change"] == "appeared"
    assert rows["S1"]["dropout_probability_before"] is None
    assert rows["S1"]["risk_category_after"] == now["S1"]["risk_category"]
    for nim in differ - {"S1"}:
        row = rows[nim]
        assert row["change"] == "changed"
        assert row["risk_category_before"] == then[nim]["risk_category"]
        delta = now[nim]["dropout_probability"] - then[nim]["dropout_probability"]
        assert row["dropout_probability_delta"] == pytest.approx(delta)

    second, first = (str(entry.id) for entry in lake.history(TABLE))
    backwards = predictions.diff(TABLE, second, first)
    assert {row["nim"]: row["change"] for row in backwards.to_pylist()}["S1"] == "vanished"
    assert predictions.diff(TABLE, first, "2024-02-01").num_rows == 0


def test_history_is_every_prediction_of_one_student_oldest_first() -> None:
    rows = predictions.history(TABLE, "S3").to_pylist()
    assert [row["prediction_timestamp"] for row in rows] == [FIRST, LATER]
    assert predictions.history(TABLE, "S1").num_rows == 1
    with pytest.raises(InsighteraError, match='no prediction for "S\'3"'):
        predictions.history(TABLE, "S'3")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"as_of": "1 February"}, "'1 February' is no time. Write 2014-02-01"),
        ({"snapshot": "abc"}, "'abc' is no snapshot id"),
        ({"snapshot": 12}, "no snapshot 12. The newest: [0-9]{10}"),
        ({"branch": "audit_y"}, "no branch 'audit_y'. Branches: main"),
        ({"snapshot": 12, "branch": "main"}, "not both"),
    ],
)
def test_what_cannot_be_shown_is_said_with_what_can(
    choice: dict[str, object], message: str
) -> None:
    with pytest.raises(InsighteraError, match=message):
        predictions.show(TABLE, **choice)


def test_unknown_tables_are_named_with_those_that_exist() -> None:
    with pytest.raises(InsighteraError, match=f"No table ml.nope.*{TABLE}"):
        predictions.show("nope")
    with pytest.raises(InsighteraError, match=f"ml.receipts holds no predictions.*{TABLE}"):
        predictions.show("receipts")
    assert prediction_tables.tables() == [TABLE]


def test_diff_tells_a_snapshot_from_a_time() -> None:
    with pytest.raises(InsighteraError, match="no snapshot 123456789"):
        predictions.diff(TABLE, "123456789", "2024-02-01")
    with pytest.raises(InsighteraError, match="is no time"):
        predictions.diff(TABLE, "last week", "2024-02-01")


def test_instants_are_naive_utc() -> None:
    jakarta = timezone(timedelta(hours=7))
    assert predictions.instant(datetime(2024, 2, 1, 7, tzinfo=jakarta)) == FIRST
    assert predictions.instant("2024-02-01") == FIRST
    assert predictions.instant(FIRST) is FIRST


@pytest.mark.parametrize("name", ["out.parquet", "OUT.CSV"])
def test_write_holds_the_rows_and_replaces_whole(tmp_path: Path, name: str) -> None:
    rows = predictions.show(TABLE)
    out = tmp_path / name
    out.write_text("what was there")
    assert files.write(rows, out) == out
    read = pyarrow.parquet.read_table if name == "out.parquet" else pyarrow.csv.read_csv
    assert read(out)["nim"].to_pylist() == rows["nim"].to_pylist()
    assert read(out)["contributing_factors"].to_pylist() == rows["contributing_factors"].to_pylist()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_write_refuses_what_it_cannot_and_leaves_the_old_file(tmp_path: Path) -> None:
    rows = predictions.show(TABLE)
    with pytest.raises(InsighteraError, match=r"\.parquet, \.csv or \.json"):
        files.write(rows, tmp_path / "out.xlsx")
    with pytest.raises(InsighteraError, match=r"folder .* does not exist"):
        files.write(rows, tmp_path / "no" / "out.csv")
    old = tmp_path / "out.csv"
    old.write_text("what was there")
    nested = pa.table({"list": [[1]]})  # which no CSV can hold
    with pytest.raises(pa.ArrowException):
        files.write(nested, old)
    assert old.read_text() == "what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


# --- On the screen --------------------------------------------------------------------------------


def insightera(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    width: int = 80,
) -> tuple[int, str, str]:
    """The command line in this process: exit code, what it printed, what it complained of."""
    monkeypatch.setattr("sys.argv", ["insightera", *arguments])
    monkeypatch.setattr(cli.console, "_width", width)
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "heads", "words"),
    [
        (
            ("show",),
            ["nim", "dropout", "category", "most of all"],
            f"{STUDENTS} predicted as of 20",
        ),
        (("diff", "2024-02-01", "2024-02-08"), ["nim", "points", "before", "after"], "1 appeared"),
        (("history", "S3"), ["as of", "dropout", "points", "category"], "2024-02-08"),
    ],
)
def test_what_a_person_looks_for_fits_eighty_columns(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    heads: list[str],
    words: str,
) -> None:
    code, out, _ = insightera(capsys, monkeypatch, "predictions", *arguments)
    assert code == 0
    table = [line for line in out.splitlines() if line and line[0] in "┏┃┡│└"]
    assert {len(line) for line in table} == {len(table[0])}  # nothing is cut at the edge
    assert len(table[0]) <= 80
    header = [cell.strip() for cell in table[1].strip("┃").split("┃")]
    assert [head for head in heads if head not in header] == []
    assert words in out
    body = [line for line in table if line.startswith("│")]
    assert len(body) == len({line.split("│")[1] for line in body})  # one line a row, none broken


def test_narrow_screens_lose_columns_of_lesser_interest_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = insightera(capsys, monkeypatch, "predictions", "show", width=200)[1]
    narrow = insightera(capsys, monkeypatch, "predictions", "show", width=34)[1]
    assert "for want of width" not in wide
    assert "most of all" in narrow.split("for want of width")[1]
    assert "S0" in narrow


@pytest.mark.parametrize("arguments", [("show",), ("diff", FIRST.isoformat(), LATER.isoformat())])
def test_a_machine_gets_everything(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
) -> None:
    call = ("predictions", *arguments)
    rows = json.loads(insightera(capsys, monkeypatch, *call, "--format", "json")[1])
    text = insightera(capsys, monkeypatch, *call, "--format", "csv")[1]
    assert (
        insightera(capsys, monkeypatch, *call, "--out", "-")[1].splitlines()[0]
        == (text.splitlines()[0])
    )
    assert [row["nim"] for row in csv.DictReader(text.splitlines())] == [row["nim"] for row in rows]
    out = tmp_path / "rows.json"
    assert "rows written" in insightera(capsys, monkeypatch, *call, "--out", str(out))[1]
    assert {row["nim"] for row in json.loads(out.read_text())} == {row["nim"] for row in rows}
    code, _, err = insightera(capsys, monkeypatch, *call, "--format", "csv", "--out", str(out))
    assert code == 2
    assert "contradict" in err


def test_diff_begins_with_the_largest_change_and_leaves_out_the_small() -> None:
    delta = "dropout_probability_delta"
    deltas = predictions.diff(TABLE, "2024-02-01", "2024-02-08")[delta].to_pylist()
    moved = [abs(each) for each in deltas if each is not None]
    assert moved == sorted(moved, reverse=True)
    assert deltas[-1] is None  # who appeared has no change
    least = sorted(moved)[len(moved) // 2]
    most = predictions.diff(TABLE, "2024-02-01", "2024-02-08", min_change=least)
    assert [abs(d) for d in most[delta].to_pylist() if d is not None] == [
        each for each in moved if each >= least
    ]
    assert "appeared" in most["change"].to_pylist()


@pytest.mark.parametrize(
    ("probability", "words"), [(0.8543, "85 %"), (0.0042, "0.4 %"), (0.0, "0.0 %"), (None, "")]
)
def test_probabilities_are_percent(probability: float | None, words: str) -> None:
    assert screen.percent(probability) == words


def test_reasons_are_in_words() -> None:
    def factor(feature: str, value: object, contribution: float) -> dict[str, object]:
        return {"feature": feature, "value": value, "contribution": contribution}

    low, high = factor("clicks_30d", 3, 0.1), factor("attendance_rate_90d", 0.2, 2.5)
    assert screen.reason(json.dumps([low, high])) == "Attendance, 90 days: 20 %"
    assert screen.reason(json.dumps([factor("attendance__clicks_7d", None, 1.0)])).endswith(
        ": not recorded"
    )
    assert screen.reason(json.dumps([factor("x", 1, -1.0)])) == "nothing in particular"


def test_what_was_made_names_what_it_is_of() -> None:
    parts = [("dropout", "kept"), ("excellence", "kept"), ("dropout", "180 scored")]
    assert replay.in_words(parts) == "dropout: kept, 180 scored; excellence: kept"


def test_wrong_names_and_questions_without_a_home(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = insightera(capsys, monkeypatch, "models", "list", "nosuch")
    assert code == 2
    assert "No use case 'nosuch'. There are: " in err
    code, out, _ = insightera(capsys, monkeypatch, "--version")
    assert (code, out.split()[0]) == (0, "insightera")
    code, out, _ = insightera(capsys, monkeypatch, "predictions", "rollback", "--help")
    assert "--yes" in out
    assert "<bool>" not in out


def test_models_are_told_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (version, *_) = registry.list_versions()
    _, out, _ = insightera(capsys, monkeypatch, "models", "list")
    assert version.name in out
    assert f"{version.as_of:%Y-%m-%d}" in out
    (first, *_) = json.loads(
        insightera(capsys, monkeypatch, "models", "list", "--format", "json")[1]
    )
    assert first["metrics"].keys() == version.metrics.keys()


# --- Every task -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a table of each task, and a warehouse that a build left."""
    home = tmp_path_factory.mktemp("all_tasks")
    with pytest.MonkeyPatch.context() as patch:
        use_home(home, patch)
        copy_store(home)
        for case in CASES:
            case.publish()
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("create schema ml; create schema published; create schema features")
        warehouse.execute(
            "create schema staging; create table staging.this_build as "
            "select timestamp '2024-08-01 12:00' as as_of"
        )
        for case in CASES:
            warehouse.execute(
                f"create table ml.train_{case.name} as select 'promoted.' as decision;"
                f"create table ml.score_{case.name} as select 'none' as run_id from range(2);"
                f"create table published.published_{case.table} as from range({len(case.table)})"
            )
        warehouse.execute(
            """
            create table features.features_mahasiswa_cohort as
            select
                'S1' as nim, 0.5 as share, 4 as silent, timestamp '2023-12-28' as silent__since,
                'IF' as programme, true as is_current, timestamp '2024-01-01' as valid_from, timestamp '9999-12-31' as valid_to,
                timestamp '9999-12-31' as system_to, timestamp '2023-12-31' as feature_timestamp;
            create table features.features_program_studi_enrolment as
            select p.kode_prodi, 35.0 as active_students, cohort.* exclude (nim, share, silent, silent__since, programme)
            from features.features_mahasiswa_cohort as cohort
            cross join (values ('IF'), ('A/B')) as p (kode_prodi);
            """
        )
    return home


@pytest.fixture
def at_all_tasks(all_tasks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_home(all_tasks, monkeypatch)
    return all_tasks


def body(out: str) -> list[str]:
    """The rows of the table on the screen."""
    return [line for line in out.splitlines() if line.startswith("│")]


def in_order(words: tuple[str, ...], line: str) -> bool:
    return re.search(".*?".join(map(re.escape, words)), line) is not None


def head_of(out: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.startswith("┃")]
    return [cell.strip() for cell in line.strip("┃").split("┃")]


by_task = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.meta["task"]))


@by_task
@pytest.mark.usefixtures("at_all_tasks")
def test_show_has_what_a_person_looks_for_first(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("predictions", "show", case.table)
    code, wide, _ = insightera(capsys, monkeypatch, *call, width=200)
    assert code == 0
    assert in_order(case.shown, body(wide)[0]), wide
    assert "{" not in wide
    narrow = insightera(capsys, monkeypatch, *call)[1]
    table = [line for line in narrow.splitlines() if line and line[0] in "┏┃┡│└"]
    assert {len(line) for line in table} == {len(table[0])}
    assert len(table[0]) <= 80
    assert [head for head in case.heads if head not in head_of(narrow)] == []


@by_task
@pytest.mark.usefixtures("at_all_tasks")
def test_show_takes_a_table_or_a_use_case_and_sorts_by_score_or_key(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        insightera(capsys, monkeypatch, "predictions", "show", *names, "--format", "json")[1]
        for names in ((case.table,), (case.name,), ("--table", case.table))
    ]
    assert said[0] == said[1] == said[2]
    rows = json.loads(said[0])
    keys = prediction_tables.subject(case.table)
    told = [tuple(row[key] for key in keys) for row in rows]
    assert sorted(told) == case.subjects
    score = prediction_tables.column(case.table, "score")
    order = [(-row[score] if score else 0, *(row[key] for key in keys)) for row in rows]
    assert order == sorted(order)


@by_task
@pytest.mark.usefixtures("at_all_tasks")
def test_diff_compares_by_what_the_task_measures(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("predictions", "diff", FIRST.isoformat(), LATER.isoformat(), "--table", case.name)
    narrow = insightera(capsys, monkeypatch, *call)[1]
    assert in_order(case.changes, body(narrow)[0]), narrow
    rows = json.loads(insightera(capsys, monkeypatch, *call, "--format", "json")[1])
    measure = prediction_tables.measure(case.table)
    assert {f"{measure}_before", f"{measure}_after", f"{measure}_delta"} <= rows[0].keys()
    most = insightera(
        capsys, monkeypatch, *call, "--min-change", str(case.least), "--format", "json"
    )
    assert [row for row in json.loads(most[1]) if row["change"] == "changed"] == rows[:1]
    assert predictions.diff(case.table, "2024-02-08", "2024-02-08").num_rows == 0


@by_task
@pytest.mark.usefixtures("at_all_tasks")
def test_history_has_every_target_and_each_step(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("predictions", "history", case.entity, "--table", case.table)
    wide = body(insightera(capsys, monkeypatch, *call, width=200)[1])
    assert len(wide) == len(case.steps)
    for words, line in zip(case.steps, wide, strict=True):
        assert all(word in line for word in words), line
    narrow = body(insightera(capsys, monkeypatch, *call)[1])
    assert max(map(len, narrow)) <= 80
    rows = json.loads(insightera(capsys, monkeypatch, *call, "--format", "json")[1])
    assert len(rows) == len(case.steps)


@pytest.mark.usefixtures("at_all_tasks")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("show",), "There are several prediction tables.*enrolment_forecast \\(enrolment\\)"),
        (("show", "nope"), "No prediction table or use case 'nope'. There are: attendance_anom"),
        (("show", "enrolment", "--table", "attendance"), "name one table"),
        (("history", "S1"), "There are several prediction tables"),
        (("diff", "2024-02-01", "2024-02-08"), "There are several prediction tables"),
        (("rollback", "--yes"), "There are several prediction tables"),
    ],
)
def test_where_several_tables_are_one_is_to_be_named(
    call: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, _, err = insightera(capsys, monkeypatch, "predictions", *call)
    assert code == 2
    assert re.search(message, err)


def test_a_table_of_before_roles_and_units_is_read_as_a_classifiers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = lake.properties(TABLE)
    old = {key: held[key] for key in (prediction_tables.ENTITY_KEYS, prediction_tables.OUTCOME)}
    now = prediction_tables.measure(TABLE), prediction_tables.units(TABLE)
    monkeypatch.setattr(lake, "properties", lambda _: old)
    assert (prediction_tables.measure(TABLE), prediction_tables.units(TABLE)) == now
    assert now[0] == "dropout_probability"


@pytest.mark.usefixtures("at_all_tasks")
def test_a_rollback_is_of_the_table_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[-1]
    second, first = (entry.id for entry in lake.history(case.table))
    other = lake.head(CASES[0].table)
    call = ("predictions", "rollback", "--yes", "--table", case.name, "--snapshot")
    assert f"at snapshot {first}" in insightera(capsys, monkeypatch, *call, str(first))[1]
    assert (lake.head(case.table), lake.head(CASES[0].table)) == (first, other)
    insightera(capsys, monkeypatch, *call, str(second))
    assert lake.head(case.table) == second


@pytest.mark.usefixtures("at_all_tasks")
def test_where_counts_each_published_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = insightera(capsys, monkeypatch, "where")[1]
    spark = insightera(capsys, monkeypatch, "where", "--target", "spark")[1]
    for case in CASES:
        assert f"{case.name}: promoted, 2 scored" in out
        assert f"{case.table}: {len(case.table)} published in all" in out
        assert f"{case.table}: {len(case.subjects)} published in all" in spark


@pytest.mark.usefixtures("at_all_tasks")
@pytest.mark.parametrize(
    "call", [("where",), ("doctor",), ("models", "list"), ("features", "get", "S1")], ids=" ".join
)
def test_what_is_no_prediction_goes_to_files_too(
    call: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    told = insightera(capsys, monkeypatch, *call, "--format", "json")[1]
    rows = json.loads(told)
    assert rows
    text = insightera(capsys, monkeypatch, *call, "--format", "csv")[1]
    assert insightera(capsys, monkeypatch, *call, "--out", "-")[1] == text
    for name in ("rows.json", "rows.csv", "rows.parquet"):
        out = insightera(capsys, monkeypatch, *call, "--out", str(tmp_path / name))[1]
        assert f"{len(rows)} rows written to {tmp_path / name}" in out
    assert (tmp_path / "rows.json").read_text() == told
    assert (tmp_path / "rows.csv").read_text() == text
    kept = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert kept.column_names == list(rows[0])
    assert kept.num_rows == len(rows)


@pytest.mark.usefixtures("at_all_tasks")
def test_features_are_of_whichever_entity_has_the_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tables(key: str, *more: str) -> set[str]:
        call = ("features", "get", key, *more, "--format", "json")
        return {row["table"] for row in json.loads(insightera(capsys, monkeypatch, *call)[1])}

    assert tables("S1") == {"features_mahasiswa_cohort"}
    for then, days in (((), 217), (("--as-of", "2024-01-02"), 5)):
        call = ("features", "get", "S1", *then, "--format", "json")
        told = json.loads(insightera(capsys, monkeypatch, *call)[1])
        assert {row["column"]: row["value"] for row in told}["silent"] == days
        assert "silent__since" not in {row["column"] for row in told}
    assert tables("IF") == tables("A/B") == {"features_program_studi_enrolment"}
    assert tables("IF", "--as-of", "2024-01-02") == tables("IF")
    assert tables("IF", "--as-of", "2023-12-31") == set()
    out = insightera(capsys, monkeypatch, "features", "get", "IF")[1]
    assert in_order(("active_students", "35", "Enrolled (students)"), body(out)[0])
    assert "kode_prodi" not in out
    code, _, err = insightera(capsys, monkeypatch, "features", "get", "nobody")
    assert code == 2
    assert "No feature table knows 'nobody'" in err


def test_numbers_of_a_column_have_as_many_decimals() -> None:
    assert screen.numbers([1234.4, 9.26, None]) == ["1,234", "9", ""]
    assert screen.numbers([9.26, 0.04]) == ["9.3", "0.0"]
    assert screen.numbers([0.25, -0.01], signed=True) == ["+0.25", "-0.01"]
    assert screen.numbers([12.0, -0.4], signed=True) == ["+12", "+0"]
    assert screen.numbers([0.0123]) == ["0.012"]


def test_without_a_row_csv_still_has_its_header() -> None:
    assert screen.as_csv(pa.table({"a": pa.array([], pa.int64())})) == "a\n"
