"""The form of a raw CSV file, as Python's `csv` reads it: refused with its line before DuckDB or Spark meet it."""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ml.core.errors import InsighteraError

_CHUNK = 1 << 22  # bytes read at a time while checking an encoding
_BLANK_QUOTE = re.compile(r'[ \t]+"')
_ENDS = {"\n": "LF", "\r\n": "CR LF", "\r": "CR"}


def header(path: Path, label: str) -> list[str]:
    """The names in the first line of `path`, once every byte is UTF-8 and every row is as long as it.

    Blank lines are no rows. `label` names the file in an error. Raises InsighteraError for another
    encoding, a row of another length, a quote that is not closed or has text behind it, a blank before
    a quote, line ends of two kinds, a NUL.
    """
    _check_utf8(path, label)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        lines = _Lines(handle)
        rows = csv.reader(lines, strict=True)
        start = 1
        try:
            names = next(rows, [])
            if not any(name.strip() for name in names):
                raise InsighteraError(f"{label}: the first line holds no header")
            end = lines.end
            start = rows.line_num + 1
            for row in rows:
                if len(row) != len(names) and row:
                    raise InsighteraError(
                        f"{label}, line {start}: {len(row)} values, and the header has "
                        f"{len(names)} names. Write every row whole; quote a value that holds a comma"
                    )
                if lines.blank_quote and any(map(_BLANK_QUOTE.match, row)):
                    raise InsighteraError(
                        f"{label}, line {start}: a value begins with a quote behind a blank, which "
                        "programs read differently. Take the blank away, or quote the whole value"
                    )
                lines.blank_quote = False
                if lines.end not in (end, ""):
                    raise InsighteraError(
                        f"{label}, line {rows.line_num}: ends with {_ENDS[lines.end]}, the header "
                        f"with {_ENDS[end]}. Write one kind of line end, e.g. dos2unix {path.name}"
                    )
                start = rows.line_num + 1
        except csv.Error as error:
            raise InsighteraError(f"{label}, line {start}: {_words(error)}") from error
    return names


class _Lines:
    """The lines of a text file, and what stood in them; refuses a NUL, which readers take for an end."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.end = ""
        self.blank_quote = False  # since it was last set so

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if "\0" in line:
                raise csv.Error("a NUL character")
            self.blank_quote |= ' "' in line or '\t"' in line
            self.end = line[len(line.rstrip("\r\n")) :][-2:] if line.endswith("\r\n") else line[-1:]
            if self.end not in _ENDS:
                self.end = ""
            yield line


def _words(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "a quote opens here and is never closed"
    if "expected after" in text:
        return "text follows a closing quote; a quote within a quoted value is doubled"
    return text


def _check_utf8(path: Path, label: str) -> None:
    """A file in Latin-1 or UTF-16 would garble names silently: it is refused."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with path.open("rb") as handle:
        while True:
            chunk = handle.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)  # at the end no character may be half
            except UnicodeDecodeError as error:
                raise InsighteraError(
                    f"{label}: not UTF-8 (near byte {offset + error.start}). Convert it, e.g. "
                    f"iconv -f latin1 -t utf-8 {path.name} > converted.csv"
                ) from error
            if not chunk:
                return
            offset += len(chunk)
