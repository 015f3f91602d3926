"""Quoting for SQL that is put together from column names and values of a use case."""

from collections.abc import Iterable


def identifier(name: str) -> str:
    """A column or table name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def identifiers(names: Iterable[str]) -> str:
    """Several names, quoted, with commas."""
    return ", ".join(identifier(name) for name in names)


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"
