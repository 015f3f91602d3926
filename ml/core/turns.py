"""One model at a time in a process: dbt runs several nodes at once, each in a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_turn = Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread learns or scores, and keep others waiting meanwhile.

    Both take all cores and much memory by themselves. Libraries that they load also look at each
    other while they are loaded: scikit-learn asks whether polars is there, and fails where another
    thread is amid its import.
    """
    with _turn:
        yield
