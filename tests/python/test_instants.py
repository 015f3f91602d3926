"""An instant that a person writes: one meaning, in Python and in dbt's Jinja."""

import datetime as datetime_module
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from dbt_common.exceptions import CompilationError

from ml.core.errors import InsighteraError
from ml.core.instants import instant, now, past_instant
from ml.core.macros import rendered

GOOD = {
    "2024-03-01": datetime(2024, 3, 1),
    "2024-02-29": datetime(2024, 2, 29),
    " 2024-03-01 06:00 ": datetime(2024, 3, 1, 6),
    "2024-03-01T06:00:07": datetime(2024, 3, 1, 6, 0, 7),
    "2024-03-01 06:00:07.25": datetime(2024, 3, 1, 6, 0, 7, 250_000),
    "2024-03-01T06:00:00Z": datetime(2024, 3, 1, 6),
    "2024-03-01T00:00:00+07:00": datetime(2024, 2, 29, 17),
    "2024-03-01 00:00+0530": datetime(2024, 2, 29, 18, 30),
    "2024-02-28T23:00:00-03": datetime(2024, 2, 29, 2),
}
BAD = [
    "",
    "yesterday",
    "2024",
    "24-03-01",
    "2024-3-1",
    "2024-02-30",
    "2023-02-29",
    "2024-13-01",
    "2024-03-01x",
    "2024-03-01 24:00",
    "2024-03-01 6:00",
    "2024-03-01 06:00 UTC",
    "2024-03-01+07:00",
    "2024-03-01 06:00:00.1234567",
    "2024-W09-5",
    "20240301",
    "0022-03-01",
    "-infinity",
    "2204-03-01",
    "9999-12-31",
    "٢٠٢٤-03-01",
]


def in_dbt(text: str) -> datetime:
    def refuse(message: str) -> None:
        raise CompilationError(message)

    context = {
        "modules": SimpleNamespace(re=re, datetime=datetime_module),
        "exceptions": SimpleNamespace(raise_compiler_error=refuse),
        "run_started_at": datetime.now(timezone.utc),
    }
    written = rendered("duckdb", "build/instant", **context).instant(text).strip()
    found = re.fullmatch(r"timestamp '(.*)'", written)
    assert found, written
    return datetime.fromisoformat(found[1])


@pytest.mark.parametrize(("text", "meant"), GOOD.items())
def test_an_instant_means_the_same_in_python_and_in_dbt(text: str, meant: datetime) -> None:
    assert past_instant(text) == meant
    assert in_dbt(text) == meant


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_instant_is_refused_in_both(text: str) -> None:
    with pytest.raises(InsighteraError, match="Write 2014-02-01 or"):
        past_instant(text, "--from")
    with pytest.raises(CompilationError, match="Write 2024-03-01 or"):
        in_dbt(text)


def test_an_instant_to_come_is_one_but_not_known_of() -> None:
    later = now() + timedelta(days=1)
    assert instant(later.isoformat()) == later
    with pytest.raises(InsighteraError, match="lies in the future"):
        past_instant(later)
