"""The project's macros without dbt: the same SQL where no build runs."""

from collections.abc import Callable, Mapping
from typing import Any

import jinja2

from ml.settings import PROJECT


def rendered(
    engine: str, *files: str, columns: Callable[[str], Mapping[str, Any]] | None = None
) -> Any:
    """The macros of `files` (`engine/slope`, below `macros/`), ready to be called: each gives SQL.

    `engine`: `duckdb`, `spark`, or `default` for what any other would run: whose variant answers
    where there are several. Where it has none, the default's does, else DuckDB's. `columns`: describes a relation, {lower name: {name, type}}, for a macro that asks
    for `point_in_time_columns`.
    """
    environment = jinja2.Environment(
        extensions=["jinja2.ext.do"],
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - this is SQL
    )
    source = "\n".join((PROJECT / "macros" / f"{name}.sql").read_text("utf-8") for name in files)
    quote, string = ("`", "string") if engine == "spark" else ('"', "varchar")

    class Adapter:
        def dispatch(self, name: str) -> Any:
            variants = [f"{engine}__{name}", f"default__{name}", f"duckdb__{name}"]
            return next(filter(None, (getattr(module, v, None) for v in variants)))

        def quote(self, name: str) -> str:
            return quote + name.replace(quote, 2 * quote) + quote

    class Types:
        def type_string(self) -> str:
            return string

    environment.globals.update(
        {
            "adapter": Adapter(),
            "dbt": Types(),
            "return": lambda value: value,
            "execute": True,
            "flags": {"WHICH": "run"},
            "point_in_time_columns": columns,
        }
    )
    module: Any = environment.from_string(source).module
    return module
