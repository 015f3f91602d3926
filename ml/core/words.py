"""A column in plain words: what its YAML calls it, and a value of it in its unit."""

from collections.abc import Mapping
from typing import Any

Labels = Mapping[str, Mapping[str, Mapping[str, str]]]  # model -> column -> `label` and `unit`
SHARE = "share"  # said in percent
UNSAID = ("", SHARE, "category", "ratio")  # units that a value does without


def label_of(column: str, labels: Labels) -> tuple[str, str]:
    """A column's label and unit. Without a label, its name with blanks and no unit.

    The join puts `<table>__` before a name that two tables have, and `<side>__` before the columns
    of one side of a pair. Then the label is that of the column's own name, by the table where that
    tells; a side is said behind it: `Publications (a)`.
    """
    parts = column.split("__")
    for length in range(len(parts)):
        prefix, own = parts[:length], "__".join(parts[length:])
        holders = [model for model in labels if own in labels[model]]
        if holders:
            named = [model for model in holders if prefix and model.endswith(f"_{prefix[-1]}")]
            held = labels[(named or holders)[0]][own]
            side = ", ".join(prefix[:-1] if named else prefix)
            return f"{held['label']} ({side})" if side else held["label"], held["unit"]
    return " ".join(column.replace("_", " ").split()), ""


def value(held: Any, unit: str = "") -> str:
    """A value as a person reads it, a share in percent; its unit is said by `with_unit`."""
    if held is None:
        return "not recorded"
    if isinstance(held, bool):
        return "yes" if held else "no"
    if not isinstance(held, int | float):
        return str(held)
    if unit == SHARE:
        return f"{100 * held:.0f} %"
    if float(held).is_integer():
        return f"{held:,.0f}"
    for least, decimals in ((100, 0), (10, 1), (0.1, 2)):
        if abs(held) >= least:
            return f"{held:,.{decimals}f}"
    return f"{held:.2g}"


def between(low: float, high: float, unit: str = "") -> str:
    """A range, `60 to 100 %`; one value where both ends are said alike."""
    first, last = value(low, unit), value(high, unit)
    if first == last:
        return last
    return f"{first.removesuffix(' %')} to {last}"


def with_unit(said: str, unit: str, form: str = "{} {}") -> str:
    """Words and the unit, where it is one that is said; `form`: what they look like together."""
    return said if unit in UNSAID else form.format(said, unit)
