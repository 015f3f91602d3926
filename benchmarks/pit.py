"""Point-in-time join: ours against Polars, pandas and Feast. `make bench-pit` writes `pit.md`.

Every contender runs in a process of its own, on the same Parquet files read into the frames it is
at home in before the clock starts, and answers in the order of an unsorted spine; neither side of
the input is sorted, so whoever needs sorted input sorts on the clock. Runs are interleaved, round
by round. Seconds are of the join alone, peak memory of the whole process, its input included.

Feast (`--feast`) is installed into an environment of its own. Its offline store takes features from
Parquet files only, and reads them on the clock. It may take 10 GB of data, no more.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DAY = 86_400_000_000  # microseconds
SPAN = 2 * 365 * DAY
FIRST = 1_640_995_200_000_000  # 2022-01-01
SIZES = {  # rows of the spine, versions, entities
    "1M x 1M": (1_000_000, 1_000_000, 100_000),
    "1M x 10M": (1_000_000, 10_000_000, 100_000),
    "10M x 10M": (10_000_000, 10_000_000, 100_000),
    "1M x 50 entities of 100k": (1_000_000, 5_000_000, 50),
}
FEATURES = [f"feature_{number}" for number in range(4)]
MOST_RATIO, MOST_GIGABYTES = 1.25, 3.5  # the target
POLARS = ("polars", "polars lazy")
MOST_FOR_FEAST = 10  # GB of data, so that a run does not take the machine with it
MINUTES = 10  # a contender that takes longer is stopped, and not run again at that size


Times = tuple[float, float]  # seconds of wall and of processor


def clock() -> Times:
    return time.perf_counter(), time.process_time()


def since(start: Times) -> Times:
    wall, processor = clock()
    return wall - start[0], processor - start[1]


def peak_gigabytes() -> float:
    """This process's own peak: `ru_maxrss` would also count the parent that it was forked from."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def make(folder: Path, size: str, keys: str) -> None:
    """`spine.parquet` and `versions.parquet`, both in random order.

    Entities are numbers or texts of eleven letters; instants are to the microsecond over two years,
    so that no two versions of an entity begin together: contenders differ there. `version` is a
    version's own number.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    random = np.random.default_rng(2024)
    rows, versions, entities = SIZES[size]

    def entity(count: int) -> pa.Array:
        if entities == 50 and count == versions:  # exactly as many versions for each
            numbers = random.permutation(np.repeat(np.arange(entities), versions // entities))
        else:
            numbers = random.integers(0, entities, count)
        if keys == "number":
            return pa.array(numbers)
        padded = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, "0")
        return pc.binary_join_element_wise(pa.scalar("NIM"), padded, "")

    def moment(count: int) -> pa.Array:
        return pa.array(FIRST + random.integers(0, SPAN, count), pa.timestamp("us"))

    spine = pa.table(
        {"entity": entity(rows), "cutoff": moment(rows), "label": random.integers(0, 2, rows)}
    )
    pq.write_table(spine, folder / "spine.parquet")
    table = pa.table(
        {"entity": entity(versions), "valid_from": moment(versions), "version": np.arange(versions)}
        | {name: random.random(versions) for name in FEATURES}
    )
    pq.write_table(table, folder / "versions.parquet")


def ours(folder: Path) -> tuple[Times, Any]:
    import pyarrow.parquet as pq

    from ml.features import point_in_time_join

    spine = pq.read_table(folder / "spine.parquet")
    versions = pq.read_table(folder / "versions.parquet")
    start = clock()
    result = point_in_time_join(
        spine, {"features": versions}, entity_keys=["entity"], timestamp="cutoff"
    )
    return since(start), result


def polars(folder: Path, *, lazy: bool = False) -> tuple[Times, Any]:
    import polars as pl

    spine = pl.read_parquet(folder / "spine.parquet")
    versions = pl.read_parquet(folder / "versions.parquet")
    start = clock()
    left: Any = spine.lazy() if lazy else spine
    right: Any = versions.lazy() if lazy else versions
    result = (
        left.with_row_index("row")
        .sort("cutoff")
        .join_asof(
            right.sort("valid_from"),
            left_on="cutoff",
            right_on="valid_from",
            by="entity",
            check_sortedness=False,
        )
        .sort("row")
        .drop("row", "valid_from")
    )
    result = result.collect() if lazy else result
    return since(start), result.to_arrow()


def pandas(folder: Path) -> tuple[Times, Any]:
    import pandas as pd
    import pyarrow as pa

    spine = pd.read_parquet(folder / "spine.parquet")
    versions = pd.read_parquet(folder / "versions.parquet")
    start = clock()
    result = pd.merge_asof(
        spine.reset_index(names="row").sort_values("cutoff"),
        versions.sort_values("valid_from"),
        left_on="cutoff",
        right_on="valid_from",
        by="entity",
    ).sort_values("row")
    seconds = since(start)
    return seconds, pa.Table.from_pandas(result, preserve_index=False)


def feast(folder: Path) -> tuple[Times, Any]:
    import pandas as pd
    import pyarrow as pa
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64, Int64, String
    from feast.value_type import ValueType

    spine = pd.read_parquet(folder / "spine.parquet").rename(columns={"cutoff": "event_timestamp"})
    spine["event_timestamp"] = spine["event_timestamp"].dt.tz_localize("UTC")
    spine["row"] = range(len(spine))
    is_text = spine["entity"].dtype == object
    with tempfile.TemporaryDirectory() as home:
        store = FeatureStore(
            config=RepoConfig(
                project="bench",
                provider="local",
                registry=f"{home}/registry.db",
                offline_store={"type": "duckdb"},
                online_store={"type": "sqlite", "path": f"{home}/online.db"},
                entity_key_serialization_version=3,
            )
        )
        entity = Entity(
            name="entity",
            join_keys=["entity"],
            value_type=ValueType.STRING if is_text else ValueType.INT64,
        )
        view = FeatureView(
            name="features",
            entities=[entity],
            schema=[
                Field(name="entity", dtype=String if is_text else Int64),
                Field(name="version", dtype=Int64),
                *(Field(name=name, dtype=Float64) for name in FEATURES),
            ],
            source=FileSource(path=str(folder / "versions.parquet"), timestamp_field="valid_from"),
        )
        store.apply([entity, view])
        start = clock()
        result = (
            store.get_historical_features(
                entity_df=spine,
                features=[f"features:{name}" for name in ("version", *FEATURES)],
            )
            .to_df()
            .sort_values("row")
        )
        seconds = since(start)
    return seconds, pa.Table.from_pandas(result, preserve_index=False)


CONTENDERS = {
    "ours": ours,
    "polars": polars,
    "polars lazy": lambda folder: polars(folder, lazy=True),
    "pandas": pandas,
    "feast": feast,
}


def one(contender: str, folder: Path, keep: Path | None) -> None:
    """Run a contender here; print seconds of wall and processor, and the process's peak in GB."""
    if contender == "feast":
        limit = MOST_FOR_FEAST * 10**9
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    times, result = CONTENDERS[contender](folder)
    peak = peak_gigabytes()
    if keep:
        import pyarrow as pa

        result = result.select(["label", "version", *FEATURES])
        with pa.OSFile(str(keep), "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    print(json.dumps([*times, peak]))


def mismatches(left: Path, right: Path) -> int:
    """Rows that differ in any column, from both files whole."""
    import numpy as np
    import pyarrow as pa

    tables = [pa.ipc.open_file(pa.memory_map(str(path))).read_all() for path in (left, right)]
    if len(tables[0]) != len(tables[1]):
        return max(map(len, tables))
    differs = np.zeros(len(tables[0]), dtype=bool)
    for name in tables[0].column_names:
        # pandas writes whole numbers with gaps as floats; NaN stands for NULL on both sides.
        sides = [table.column(name).to_numpy().astype(float) for table in tables]
        differs |= ~((sides[0] == sides[1]) | (np.isnan(sides[0]) & np.isnan(sides[1])))
    return int(differs.sum())


def feast_python(folder: Path) -> Path | None:
    """An interpreter that has Feast, in an environment of its own; None where it does not install."""
    environment = folder / "feast"
    python = environment / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", environment],
        [python, "-m", "pip", "install", "--quiet", "feast[duckdb]"],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"Feast does not install here: {done.stderr.strip()[-300:]}")
            return None
    return python


def measure(
    size: str, keys: str, contenders: list[str], rounds: int, pythons: dict[str, Path]
) -> list[str]:
    """Rows of the table for one size."""
    runs: dict[str, list[list[float]]] = {contender: [] for contender in contenders}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-pit-") as name:
        folder = Path(name)
        make(folder, size, keys)
        for number in range(rounds):
            for contender in contenders:
                if contender in failed:
                    continue
                keep = folder / f"{contender}.arrow" if number == 0 else None
                command = [
                    pythons.get(contender, Path(sys.executable)),
                    __file__,
                    "--one",
                    contender,
                ]
                command += ["--folder", folder, *(["--keep", keep] if keep else [])]
                try:
                    done = subprocess.run(
                        command,
                        capture_output=True,
                        text=True,
                        timeout=MINUTES * 60,
                        check=True,
                        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
                    )
                    runs[contender].append(json.loads(done.stdout.splitlines()[-1]))
                    print(f"{size}, {contender}: {runs[contender][-1]}", file=sys.stderr)
                except subprocess.TimeoutExpired:
                    failed[contender] = f"stopped after {MINUTES} minutes"
                except subprocess.CalledProcessError as error:
                    lines = error.stderr.strip().splitlines() or [""]
                    said = next(
                        (line for line in lines if "out of memory" in line.lower()), lines[-1]
                    )
                    failed[contender] = f"failed ({error.returncode}): {said.strip()[:120]}"
        different = {
            contender: mismatches(folder / "ours.arrow", folder / f"{contender}.arrow")
            for contender in contenders
            if runs[contender] and runs["ours"]
        }
    median = {
        contender: [statistics.median(column) for column in zip(*made, strict=True)]
        for contender, made in runs.items()
        if made
    }
    best = min(median[contender][0] for contender in POLARS if contender in median)
    lines = []
    for contender in contenders:
        if contender not in median:
            lines.append(f"| {size} | {contender} | {failed[contender]} | | | | | |")
            continue
        wall, processor, _ = median[contender]
        peak = max(run[2] for run in runs[contender])
        fastest = min(run[0] for run in runs[contender])
        missed = contender == "ours" and (
            wall > MOST_RATIO * best
            or peak > MOST_GIGABYTES
            or any(different[other] for other in POLARS)
        )
        differing = "" if contender == "ours" else different[contender]
        lines.append(
            f"| {size} | {contender}{' **(target missed)**' if missed else ''} | {wall:.2f} "
            f"| {fastest:.2f} | {processor:.2f} | {wall / best:.2f} | {peak:.2f} | {differing} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--keys", choices=["number", "text"], default="number")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--feast", action="store_true", help="also Feast, installed beside")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--one", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.folder, options.keep)
        return 0

    import duckdb
    import pandas as pd
    import polars as pl

    contenders = ["ours", *POLARS, "pandas"]
    with tempfile.TemporaryDirectory(prefix="bench-pit-feast-") as folder:
        pythons = {}
        if options.feast and (python := feast_python(Path(folder))):
            pythons["feast"] = python
            contenders.append("feast")
        lines = []
        for size in options.sizes:
            lines += measure(size, options.keys, contenders, options.rounds, pythons)
    arguments = " ".join(sys.argv[1:])
    text = "\n".join(
        [
            "# Point-in-time join",
            "",
            f"Reproduce: `python benchmarks/pit.py{' ' if arguments else ''}{arguments}` (`make bench-pit`).",
            "",
            f"{os.cpu_count()} cores, {platform.machine()}; Python {platform.python_version()}, "
            f"DuckDB {duckdb.__version__}, Polars {pl.__version__}, pandas {pd.__version__}. "
            f"Median of {options.rounds} interleaved rounds; keys: {options.keys}.",
            f"Target: ours at most {MOST_RATIO} times the faster Polars and {MOST_GIGABYTES} GB, "
            "no row that differs.",
            "",
            "| spine x versions | contender | wall, s | fastest, s | processor, s | ratio to Polars "
            "| peak, GB | rows that differ from ours |",
            "|---|---|---|---|---|---|---|---|",
            *lines,
            "",
            *(line for line in __doc__.splitlines()[2:]),
            "",
        ]
    )
    options.out.write_text(text)
    print(text)
    return int("target missed" in text)


if __name__ == "__main__":
    sys.exit(main())
