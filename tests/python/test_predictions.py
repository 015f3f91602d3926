"""What `insightera predictions` shows, over real published predictions."""

import csv
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
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
    assert rows["S1"]["probability_before"] is None
    assert rows["S1"]["category_after"] == now["S1"]["risk_category"]
    for nim in differ - {"S1"}:
        row = rows[nim]
        assert row["change"] == "changed"
        assert row["category_before"] == then[nim]["risk_category"]
        delta = now[nim]["dropout_probability"] - then[nim]["dropout_probability"]
        assert row["probability_delta"] == pytest.approx(delta)

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
    assert max(map(len, table)) <= 80
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
    deltas = predictions.diff(TABLE, "2024-02-01", "2024-02-08")["probability_delta"].to_pylist()
    moved = [abs(delta) for delta in deltas if delta is not None]
    assert moved == sorted(moved, reverse=True)
    assert deltas[-1] is None  # who appeared has no change
    least = sorted(moved)[len(moved) // 2]
    most = predictions.diff(TABLE, "2024-02-01", "2024-02-08", min_change=least)
    assert [abs(d) for d in most["probability_delta"].to_pylist() if d is not None] == [
        delta for delta in moved if delta >= least
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
