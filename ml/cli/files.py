"""Files that commands write: Parquet, CSV or JSON."""

import os
import tempfile
from pathlib import Path

import pyarrow as pa

from ml.cli import screen
from ml.core.errors import InsighteraError


def write(rows: pa.Table, out: Path) -> Path:
    """Write to a `.parquet`, `.csv` or `.json` file, whole or not at all; the path."""
    import pyarrow.csv
    import pyarrow.parquet

    def write_json(table: pa.Table, name: str) -> None:
        Path(name).write_text(screen.as_json(table.to_pylist()), encoding="utf-8")

    writers = {
        ".parquet": pyarrow.parquet.write_table,
        ".csv": pyarrow.csv.write_csv,
        ".json": write_json,
    }
    if out.suffix.lower() not in writers:
        raise InsighteraError(
            f"Cannot write {out}: name a .parquet, .csv or .json file, or - for the screen."
        )
    if not out.parent.is_dir():
        raise InsighteraError(f"Cannot write {out}: the folder {out.parent} does not exist.")
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        writers[out.suffix.lower()](rows, name)
        Path(name).chmod(0o644)
        Path(name).replace(out)
    finally:
        Path(name).unlink(missing_ok=True)
    return out


def save(rows: pa.Table, out: Path, form: screen.Format) -> str:
    """An Arrow table to a file (`.parquet`, `.csv`, `.json`) or, as `-`, to standard output; what to
    say of it, empty for `-`.
    """
    if str(out) == "-":
        screen.give(rows.to_pylist(), screen.Format.csv if form is screen.Format.table else form)
        return ""
    if form is not screen.Format.table and out.suffix.lower() != f".{form.value}":
        raise InsighteraError(f"--format {form.value} and --out {out} contradict one another.")
    return f"{rows.num_rows:,} rows written to {write(rows, out)}"
