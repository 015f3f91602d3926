"""`insightera models`: the versions in the registry, and which of them is champion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.cli import screen
from ml.cli.screen import Column, Format
from ml.cli.terminal import FormatOption, OutOption, console, given
from ml.core.errors import InsighteraError

if TYPE_CHECKING:  # MLflow takes seconds
    from ml.registry import Version

app = typer.Typer(help="List and promote model versions.", no_args_is_help=True)


@app.command("list")
def list_versions(
    name: Annotated[str, typer.Argument(help="Use case; default: all.")] = "",
    out: OutOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Registered versions, with alias, the decision about each, and when it was trained."""
    from ml import registry
    from ml.cli import docs_site

    known = sorted({*docs_site.use_cases(), *(entry.name for entry in registry.list_versions())})
    if name and name not in known:
        raise InsighteraError(f"No use case {name!r}. There are: {', '.join(known)}.")
    versions = registry.list_versions(name or None)
    if given([_everything(version) for version in versions], out, form):
        return
    if not versions:
        console.print("No version registered yet: `make build` trains the first.")
        return
    _show(versions)


def _everything(version: "Version") -> dict[str, Any]:
    from ml.training.policy import CAUTION

    return {
        "model": version.name,
        "version": version.version,
        "alias": ", ".join(version.aliases),
        "as_of": version.as_of,
        "decision": version.tags.get("decision"),
        "caution": version.tags.get(CAUTION),
        "features": list(version.features),
        "metrics": dict(version.metrics),
    }


def _show(versions: Sequence["Version"]) -> None:
    from ml.registry import CHAMPION
    from ml.training.policy import CAUTION

    most = versions[: screen.MOST]
    screen.show(
        console,
        "Model versions",
        [
            Column("model", [version.name for version in most]),
            Column("version", [version.version for version in most], right=True),
            Column("alias", [", ".join(version.aliases) for version in most]),
            Column("as of", [screen.day(version.as_of) for version in most]),
            Column("features", [str(len(v.features)) for v in most], rank=2, right=True),
            Column("why", [v.tags.get("decision", "") for v in most], is_text=True),
        ],
        len(versions),
    )
    for version in most:
        if CHAMPION in version.aliases and version.tags.get(CAUTION):
            console.print(
                f"[yellow]Caution[/], {version.name} version {version.version}: "
                f"{version.tags[CAUTION]}.",
                highlight=False,
                soft_wrap=True,
            )


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Use case, e.g. student_dropout.")],
    version: Annotated[str, typer.Argument(help="Version to make champion.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the version.")],
) -> None:
    """Make a version champion by hand. The next build scores everyone with it."""
    from ml import registry

    registry.promote(name, version, reason)
    console.print(f"{name} version {version} is champion. The next build rescores everyone.")
