"""The one reader of an instant that a person writes; `macros/build/instant.sql` is its twin in dbt's Jinja."""

import re
from datetime import datetime, timedelta, timezone

from ml.core.errors import InsighteraError

_FORM = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?", re.ASCII
)
_EXAMPLES = (
    "Write 2014-02-01 or 2014-02-01T08:00:00 (UTC unless it ends in an offset such as +07:00)."
)
FIRST = datetime(1900, 1, 1)  # before it no source system recorded anything


def instant(value: str | datetime, what: str = "") -> datetime:
    """A time as naive UTC: a day is its first moment, one without an offset is UTC already.

    `what` says in an error where it was written. Raises InsighteraError for any other text, a day
    that no calendar has, and a time before 1900.
    """
    if isinstance(value, str):
        text, given = value.strip(), value
        value_or_none = _parsed(text) if _FORM.fullmatch(text) else None
        if value_or_none is None:
            raise InsighteraError(f"{what} {given!r} is no time. {_EXAMPLES}".lstrip())
        value = value_or_none
    try:
        value = value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
    except OverflowError:
        value = datetime.min
    if value < FIRST:
        raise InsighteraError(f"{what} {value} lies before {FIRST:%Y}. {_EXAMPLES}".lstrip())
    return value


def past_instant(value: str | datetime, what: str = "") -> datetime:
    """As `instant`; raises InsighteraError for one that is still to come, too."""
    moment = instant(value, what)
    if moment > now():
        raise InsighteraError(
            f"{what} {moment} lies in the future: it is {now():%Y-%m-%d %H:%M:%S} (UTC). "
            f"Nothing can be known as of then. {_EXAMPLES}".lstrip()
        )
    return moment


def now() -> datetime:
    """The clock, as naive UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _parsed(text: str) -> datetime | None:
    day, clock, offset = re.match(r"(.{10})[ T]?([0-9:.]*)(.*)", text).groups()  # type: ignore[union-attr]
    whole, _, fraction = clock.partition(".")
    whole += ":00" * (2 - whole.count(":")) if whole else "00:00:00"
    digits = offset.replace("Z", "+00").replace(":", "").ljust(5, "0") if offset else "+0000"
    try:
        moment = datetime.fromisoformat(f"{day}T{whole}")
        zone = timezone(
            timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
            * (-1 if digits[0] == "-" else 1)
        )
        return moment.replace(microsecond=int(fraction.ljust(6, "0") or 0), tzinfo=zone)
    except ValueError:
        return None
