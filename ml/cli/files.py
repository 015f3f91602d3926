"""Files that commands write: Parquet, CSV or JSON."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ml.cli import screen
from ml.cli.screen import Row
from ml.core.errors import InsighteraError


def write(rows: pa.Table | Sequence[Row], out: Path) -> Path:
    """Write to a `.parquet`, `.csv` or `.json` file, whole or not at all; the path."""
    if out.suffix.lower() not in WRITERS:
        raise InsighteraError(
            f"Cannot write {out}: name a .parquet, .csv or .json file, or - for the screen."
        )
    if not out.parent.is_dir():
        raise InsighteraError(f"Cannot write {out}: the folder {out.parent} does not exist.")
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        WRITERS[out.suffix.lower()](rows, Path(name))
        Path(name).chmod(0o644)
        Path(name).replace(out)
    finally:
        Path(name).unlink(missing_ok=True)
    return out


def save(rows: pa.Table | Sequence[Row], out: Path, form: screen.Format) -> str:
    """Rows to a file (`.parquet`, `.csv`, `.json`) or, as `-`, to standard output; what to
    say of it, empty for `-`.
    """
    if str(out) == "-":
        screen.give(rows, screen.Format.csv if form is screen.Format.table else form)
        return ""
    if form is not screen.Format.table and out.suffix.lower() != f".{form.value}":
        raise InsighteraError(f"--format {form.value} and --out {out} contradict one another.")
    return f"{len(rows):,} rows written to {write(rows, out)}"


def _write_parquet(rows: pa.Table | Sequence[Row], path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(rows if isinstance(rows, pa.Table) else _table(rows), path)


def _write_csv(rows: pa.Table | Sequence[Row], path: Path) -> None:
    import pyarrow.csv

    if isinstance(rows, pa.Table):
        pyarrow.csv.write_csv(rows, path)
    else:
        path.write_text(screen.as_csv(rows), encoding="utf-8")


def _write_json(rows: pa.Table | Sequence[Row], path: Path) -> None:
    path.write_text(screen.as_json(rows), encoding="utf-8")


WRITERS = {".parquet": _write_parquet, ".csv": _write_csv, ".json": _write_json}


def _table(rows: Sequence[Row]) -> pa.Table:
    """Rows as Arrow; a column of values that are of no one type, or are objects, is JSON text."""
    names = list(rows[0]) if rows else []
    return pa.table({name: _column([row[name] for row in rows]) for name in names})


def _column(values: list[object]) -> pa.Array:
    try:
        if not any(isinstance(value, dict) for value in values):
            return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    return pa.array([None if value is None else json.dumps(value, default=str) for value in values])
