"""What must hold for any folder of raw files, checked in SQL from the contract's own YAML."""

from pathlib import Path

import duckdb
import pyarrow.parquet

from ml.raw.files import Table, contract


def violations(folder: Path) -> list[str]:
    """Each rule of the contract that a Parquet file below `folder` breaks, with the row count."""
    found = []
    for table in contract():
        file = folder / f"{table.path}.parquet"
        if file.exists():
            found += _violations(table, file)
    return found


def _violations(table: Table, file: Path) -> list[str]:
    names = pyarrow.parquet.read_schema(file).names
    loaded_at = "loaded_at" if "loaded_at" in names else "recorded_at"
    if not pyarrow.parquet.read_schema(file).equals(table.schema(loaded_at="loaded_at" in names)):
        return [f"{table.path}: schema {names}"]
    broken = {
        f"recorded_at after {loaded_at}": f"recorded_at > {loaded_at}",
        f"{loaded_at} NULL": f"{loaded_at} is null",
        f"{loaded_at} in the future": f"{loaded_at} > now()",
    }
    if table.event_time:
        broken["event time after recorded_at"] = f"{table.event_time} > recorded_at"
    for column in table.columns:
        if column.required:
            broken[f"{column.name} NULL"] = f"{column.name} is null"
        if column.data_type == "varchar" and column.name in names:
            broken[f"{column.name} blank"] = f"trim({column.name}) in ('', '?')"
        if column.allowed:
            allowed = ", ".join(f"'{value}'" for value in column.allowed)
            broken[f"{column.name} not allowed"] = f"{column.name} not in ({allowed})"
        if column.minimum is not None:
            bounds = f"{column.minimum} and {column.maximum}"
            broken[f"{column.name} out of range"] = f"{column.name} not between {bounds}"
    counts = duckdb.execute(
        f"select {', '.join(f'count(*) filter ({rule})' for rule in broken.values())} from '{file}'"
    ).fetchone()
    assert counts is not None
    found = [f"{table.path}: {n} x {rule}" for rule, n in zip(broken, counts, strict=True) if n]
    key = ", ".join(table.key)
    doubled = duckdb.execute(
        f"select count(*) from (select {key} from '{file}' group by all having count(*) > 1)"
    ).fetchone()
    assert doubled is not None
    return found + ([f"{table.path}: {doubled[0]} doubled keys"] if doubled[0] else [])
