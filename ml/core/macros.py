"""The project's macros without dbt: the same SQL where no build runs."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

import jinja2
from dbt_common.clients.jinja import (
    BaseMacroGenerator,
    extract_toplevel_blocks,
    get_environment,
)
from dbt_common.exceptions.macros import MacroReturn

from ml.core.settings import PROJECT


class _Macro(BaseMacroGenerator):
    """A macro in dbt's Jinja, where it may `return` anything; a name it does not know is an error."""

    def __init__(self, name: str, source: str, context: dict[str, Any]) -> None:
        super().__init__(context)
        self.name = name
        environment = get_environment()
        environment.undefined = jinja2.StrictUndefined
        self.template = environment.from_string(source)

    def get_template(self) -> jinja2.Template:
        return self.template

    def get_name(self) -> str:
        return self.name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.call_macro(*arguments, **named)


def rendered(
    engine: str,
    *files: str,
    columns: Callable[[str], Mapping[str, Any]] | None = None,
    **context: Any,
) -> Any:
    """The macros and data tests of `files` (`engine/slope`, below `macros/`), ready to be called: each
    gives its text, or what it returns.

    `engine`: `duckdb`, `spark`, or `default` for what any other would run: whose variant answers
    where there are several. Where it has none, the default's does, else DuckDB's. `columns`:
    describes a relation, {lower name: {name, type}}, for a macro that asks for
    `point_in_time_columns`. `context`: what else of dbt's a macro asks for (`this`, `exceptions`).
    """
    quote, string = ("`", "string") if engine == "spark" else ('"', "varchar")

    class Adapter:
        def dispatch(self, name: str) -> Any:
            variants = [f"{engine}__{name}", f"default__{name}", f"duckdb__{name}"]
            return next(context[variant] for variant in variants if variant in context)

        def quote(self, name: str) -> str:
            return quote + name.replace(quote, 2 * quote) + quote

    def returned(value: object) -> NoReturn:
        raise MacroReturn(value)

    context |= {
        "adapter": Adapter(),
        "dbt": SimpleNamespace(type_string=lambda: string),
        "return": returned,
        "execute": True,
        "flags": {"WHICH": "run"},
        "point_in_time_columns": columns,
    }
    macros = {}
    for file in files:
        source = (PROJECT / "macros" / f"{file}.sql").read_text("utf-8")
        blocks: Any = extract_toplevel_blocks(source, {"macro", "test"}, collect_raw_data=False)
        for block in blocks:
            # dbt's name of a data test's macro
            name = ("test_" if block.block_type_name == "test" else "") + block.block_name
            macros[name] = _Macro(name, block.full_block, context)
    context |= macros
    return SimpleNamespace(**macros)
