"""`insightera generate` and `insightera import`: raw extracts of an invented or a public university."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.terminal import console, progress

app = typer.Typer(help="Turn a public dataset into raw extracts.", no_args_is_help=True)
FolderOption = Annotated[Path, typer.Option("--out", help="Folder for <source>/<table> files.")]


@app.callback()
def _group() -> None:
    """Turn a public dataset into raw extracts."""


def generate(
    students: Annotated[int, typer.Option(help="How many students.", min=1)],
    out: FolderOption,
    seed: Annotated[int, typer.Option(help="Same seed and number, same bytes.")] = 7,
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    faults: Annotated[
        Path | None, typer.Option(help="File for what is wrong on purpose, outside of --out.")
    ] = None,
) -> None:
    """Write the raw extracts of an invented university, in bounded memory."""
    from ml.raw.demo.generate import generate as write

    with progress() as bar:
        task = bar.add_task(f"0 of {students:,} students")
        counts = write(
            students,
            seed,
            out,
            file_format=file_format,
            faults=faults,
            progress=lambda done: bar.update(
                task, description=f"{done:,} of {students:,} students"
            ),
        )
    _report(counts, out)


@app.command()
def oulad(
    source: Annotated[Path, typer.Argument(help="Folder with the seven OULAD tables.")],
    out: FolderOption,
) -> None:
    """Open University Learning Analytics Dataset: one enrolment is one mahasiswa."""
    from ml.raw.importers.oulad import import_oulad

    with progress() as bar:
        bar.add_task(f"Importing {source}")
        counts = import_oulad(source, out)
    _report(counts, out)


def _report(counts: Mapping[str, int], out: Path) -> None:
    for name, rows in counts.items():
        console.print(f"  {name:<32} {rows:>12,} rows")
    console.print(f"Build it with: INSIGHTERA_RAW={out} make build")
