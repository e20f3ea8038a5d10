"""Files of a bill: which form each has, which belong together as pages, and what they say.

CSV is read row by row. Pages of JSON are read as a whole, for so the provider writes them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import ModuleType
from typing import IO, Any, NamedTuple

from omniledger.bill import (
    analytics_cost,
    console_csv,
    cost_report,
    pages,
    plain_csv,
    usage_report,
    values,
)
from omniledger.bill.facts import Fact, Unreadable
from omniledger.bill.pages import Page
from omniledger.errors import InputError
from omniledger.screen import is_for_a_person

LARGEST_JSON = 256 * 2**20
"""Bytes of one JSON file; the API's pages are thousands of times smaller."""

_BAR_FROM = 4 * 2**20
"""Bytes from which on a progress bar is shown on a terminal."""

JSON_FORMS: Mapping[str, ModuleType] = {
    module.NAME: module for module in (usage_report, cost_report, analytics_cost)
}

_NOTHING = "nothing of it was imported"

_FORMS = (
    "a page of Anthropic's usage report, cost report or analytics cost, a CSV export of its "
    "console, or the CSV of docs/bill.md"
)

Row = Mapping[str, str]


@dataclass(frozen=True)
class Document:
    """One bill: its name to people, its form, and a way to read what it says.

    `has_doubles` says that two equal rows may both be meant.
    """

    name: str
    form: str
    read: Callable[[], Iterator[Fact]]
    has_doubles: bool = False


@dataclass
class _Pages:
    """Pages of one report that are spread over files, while they are gathered."""

    files: list[Path] = field(default_factory=list)
    forms: set[str] = field(default_factory=set)
    pages: list[tuple[Path, Page]] = field(default_factory=list)


class _Span(NamedTuple):
    """The time of a bucket, and where it stands."""

    start: datetime
    end: datetime
    position: str


def documents(files: Sequence[Path]) -> Iterator[Document]:
    """The bills in `files`; a page that says another follows is joined with the next file.

    Raises:
        InputError: a file can't be read, or is no bill; the sentence names file and position.
    """
    gathered = _Pages()
    for path in files:
        if _is_json(path):
            with naming(path):
                found = pages.parse(_whole(path))
                gathered.forms |= {form for one in found if (form := _form(one))}
            gathered.files.append(path)
            gathered.pages += [(path, one) for one in found]
            if not gathered.pages or not gathered.pages[-1][1].has_more:
                yield _joined(gathered)
                gathered = _Pages()
        else:
            _require_whole(gathered)
            yield _csv_document(path)
    _require_whole(gathered)


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Say in which file it is that something can't be read."""
    try:
        yield
    except Unreadable as problem:
        place = f"{path}, {problem.position}" if problem.position else f"{path}"
        raise InputError(f"{place}: {problem.reason}; {_NOTHING}.") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path} is no text in UTF-8; save it as UTF-8 and import it again."
        ) from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.") from None


def _joined(gathered: _Pages) -> Document:
    """The document of all pages gathered."""
    name = ", ".join(map(str, gathered.files))
    if len(gathered.forms) > 1:
        raise InputError(
            f"{name}: these are pages of different reports ({', '.join(sorted(gathered.forms))}); "
            "import each report by itself."
        )
    if not gathered.forms:
        raise InputError(f"{name} holds no usage and no cost, so there is nothing to import.")
    [form] = gathered.forms
    _require_no_gap(gathered.pages)

    def read() -> Iterator[Fact]:
        for path, page in gathered.pages:
            with naming(path):
                facts = JSON_FORMS[form].facts([page])
                yield from facts if len(gathered.files) == 1 else _placed(facts, path)

    return Document(name, form, read)


def _require_no_gap(found: Iterable[tuple[Path, Page]]) -> None:
    """Refuse pages of buckets between which time is missing, as where a page is.

    Where a page has gaps of its own, the provider left empty buckets out.
    """
    spans = [(path, _spans(path, page)) for path, page in found]
    if any(after.start > before.end for _, page in spans for before, after in pairwise(page)):
        return
    filled = [(path, page) for path, page in spans if page]
    for (_, before), (path, after) in pairwise(filled):
        if after[0].start > before[-1].end:
            with naming(path):
                raise Unreadable(
                    after[0].position,
                    f"begins at {after[0].start:%Y-%m-%dT%H:%MZ}, and the page before it ends at "
                    f"{before[-1].end:%Y-%m-%dT%H:%MZ}; give all pages of the report, in order",
                )


def _spans(path: Path, page: Page) -> list[_Span]:
    with naming(path):
        return [
            _Span(
                *values.bucket(item.get("starting_at"), item.get("ending_at"), position), position
            )
            for position, item in page.placed()
            if "results" in item
        ]


def _placed(facts: Iterable[Fact], path: Path) -> Iterator[Fact]:
    """Facts of one of several files, which their positions name."""
    for fact in facts:
        yield replace(fact, position=f"{fact.position} of {path.name}")


def _form(page: Page) -> str | None:
    """The form of a page, None of one in which all buckets are empty.

    Raises:
        Unreadable: it is none that is known.
    """
    for position, item in page.placed():
        for name, module in JSON_FORMS.items():
            if module.recognises(item):
                return name
        if item.get("results") != []:
            raise Unreadable(position, f"this is no bill known here; it can read {_FORMS}")
    return None


def _require_whole(gathered: _Pages) -> None:
    if gathered.pages:
        raise InputError(
            f"{gathered.pages[-1][0]} says that another page follows (has_more), and it isn't the "
            "next file; give all pages of the report, in their order."
        )


def _is_json(path: Path) -> bool:
    with naming(path):
        mode = path.stat().st_mode
        # What a pipe has given it gives no second time, and a named one may never give anything.
        if not (S_ISREG(mode) or S_ISDIR(mode)):
            raise InputError(
                f"{path} is no file but a pipe or a device; save what it gives and import that."
            )
        with path.open("rb") as file:
            start = file.read(4096)
    if not start.strip():
        raise InputError(f"{path} is empty, so there is nothing to import.")
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _whole(path: Path) -> str:
    if path.stat().st_size > LARGEST_JSON:
        raise InputError(
            f"{path} is {path.stat().st_size // 2**20} MiB of JSON, more than the "
            f"{LARGEST_JSON // 2**20} MiB that are read at once; fetch the report in pages "
            "(limit=31), or import it as CSV."
        )
    return path.read_text(encoding="utf-8-sig")


def _csv_document(path: Path) -> Document:
    with naming(path), path.open(encoding="utf-8-sig", newline="") as file:
        header = [name.strip() for name in file.readline(65536).rstrip("\r\n").split(",")]
        names = {name.strip('"') for name in header}
    for form, needed in console_csv.COLUMNS.items():
        if names.issuperset(needed):
            return Document(str(path), form, _reader(path, console_csv.READERS[form]), True)
    if names.issuperset(plain_csv.COLUMNS) and names.intersection(plain_csv.FIGURES):
        return Document(str(path), plain_csv.NAME, _reader(path, plain_csv.facts))
    raise InputError(
        f"{path}, line 1: this is no bill known here; it can read {_FORMS}"
        f"{_nearest(names)}; {_NOTHING}."
    )


def _nearest(names: set[str]) -> str:
    """What the columns lack of the CSV that they are most like, if they are like any."""
    forms = {
        "console's export of usage": console_csv.COLUMNS[console_csv.USAGE],
        "console's export of cost": console_csv.COLUMNS[console_csv.COST],
        "CSV of docs/bill.md": plain_csv.COLUMNS,
    }
    form = max(forms, key=lambda form: len(names.intersection(forms[form])) / len(forms[form]))
    if not names.intersection(forms[form]):
        return ""
    lacking = [column for column in forms[form] if column not in names]
    return f"; to be the {form} it lacks {', '.join(lacking) or ' or '.join(plain_csv.FIGURES)}"


def _reader(
    path: Path, facts: Callable[[Iterable[tuple[str, Row]]], Iterator[Fact]]
) -> Callable[[], Iterator[Fact]]:
    def read() -> Iterator[Fact]:
        with naming(path), opened(path) as file:
            yield from facts(_rows(file))

    return read


def _rows(file: IO[str]) -> Iterator[tuple[str, Row]]:
    """The rows of a CSV, each with the line that it ends on.

    Raises:
        Unreadable: a row has other columns than the header, or is no CSV.
    """
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        if len(set(header)) < len(header):
            raise Unreadable("line 1", "two columns have the same name")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise Unreadable(
                    f"line {reader.line_num}",
                    f"has {len(cells)} columns where the header has {len(header)}; "
                    "the file may be cut off",
                )
            yield f"line {reader.line_num}", dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}", f"is no CSV ({error})") from None


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """The text of a file; while a big one is read on a terminal, a bar shows how far."""
    arguments: dict[str, Any] = {"encoding": "utf-8-sig", "newline": ""}
    if is_for_a_person() and path.stat().st_size >= _BAR_FROM:
        from rich.console import Console
        from rich.progress import open as open_with_bar

        console = Console(stderr=True)
        with open_with_bar(
            path, "r", description=path.name, console=console, transient=True, **arguments
        ) as shown:
            yield shown
    else:
        with path.open(**arguments) as file:
            yield file
