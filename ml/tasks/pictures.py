"""Pictures of a model card, as PNG."""

from io import BytesIO
from typing import Any


def curve(
    lines: list[tuple[Any, Any, str]], words: tuple[str, str, str], marker: str = ""
) -> bytes:
    """Lines (x, y, name) between 0 and 1; `words`: of the axes and the title."""
    from matplotlib.figure import Figure  # without pyplot: no state, no screen, the Agg canvas

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for number, (x, y, name) in enumerate(lines):
        axes.plot(
            x, y, label=name, marker="" if number else marker, linestyle="--" if number else "-"
        )
    axes.set(
        xlabel=words[0], ylabel=words[1], title=words[2], xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
    )
    axes.legend(loc="best")
    return _png(figure)


def bars(ordered: list[tuple[str, float]], title: str) -> bytes:
    """A horizontal bar for each name, which two may share, the first at the bottom."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1 + 0.25 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    values = [value for _, value in ordered]
    axes.barh(range(len(ordered)), values, tick_label=[name for name, _ in ordered])
    axes.set(title=title)
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
