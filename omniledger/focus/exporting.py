"""Write the published `fct_focus` to a file: CSV or Parquet, exact, in batches, all or nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import MAX_PREC, Decimal, localcontext
from os.path import realpath
from pathlib import Path
from typing import Any, Protocol

from psycopg import sql

from omniledger.cells import cell
from omniledger.database import Connection
from omniledger.errors import InputError, LocalError, NotReadyError
from omniledger.files import replacing
from omniledger.marts import PUBLISHED, Mart, columns_in
from omniledger.roles import require_no_superuser

_MART = Mart("fct_focus", "usage_date")
_KEPT_BACK = (
    "focus_key",
    "usage_date",
    "llm_model",
    "model_names",
    "built_xmin",
    "built_at",
)
"""Columns that are the mart's own affair."""

_FORMS = (".csv", ".parquet")
_ROWS_AT_ONCE = 10_000
_DIGITS = 38
"""Of a Parquet decimal128."""

_ROWS = "select {columns} from {table} order by usage_date, focus_key"
_SCALES = "select {scales} from {table}"


@dataclass(frozen=True)
class Written:
    """Rows of a file, the sum of their BilledCost, and how many have no known cost."""

    rows: int
    billed: Decimal
    unknown: int


@dataclass(frozen=True)
class Column:
    """A column of the file: its name in the mart, and its type there."""

    name: str
    kind: str

    @property
    def focus_name(self) -> str:
        """The specification's name; its own columns begin with `x_`."""
        own = self.name.startswith("x_")
        words = self.name.removeprefix("x_").split("_")
        return ("x_" if own else "") + "".join(word.capitalize() for word in words)


class _Writer(Protocol):
    def write(self, rows: Sequence[tuple[Any, ...]]) -> None: ...

    def close(self) -> None: ...


def write(connection: Connection, path: Path) -> Written:
    """Write the published figures to `path`, whose ending says the form.

    One snapshot is written. Until it is whole, nothing is there by that name, and what was there
    before stays.

    Raises:
        InputError: the ending is neither .csv nor .parquet, or is all of the name.
        NotReadyError: nothing was published yet, or this is a superuser where others own the marts.
        LocalError: the file can't be written.
    """
    if path.name.lower() in _FORMS:
        raise InputError(f"{path} is an ending without a name; name it like focus{path.name}.")
    if path.suffix.lower() not in _FORMS:
        raise InputError(f"{path} ends in neither .csv nor .parquet; name it so.")
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        require_no_superuser(connection)
        columns = _columns(connection)
        with _drafting(path) as draft:
            if path.suffix.lower() == ".csv":
                writer: _Writer = CsvWriter(draft, columns)
            else:
                writer = ParquetWriter(draft, columns, _scales(connection, columns))
            try:
                return _write(connection, columns, writer)
            finally:
                writer.close()


def _columns(connection: Connection) -> tuple[Column, ...]:
    found = columns_in(connection, PUBLISHED, _MART)
    if not found:
        raise NotReadyError(f"{PUBLISHED}.{_MART.name} isn't there; `omniledger run` publishes it.")
    return tuple(Column(name, kind) for name, kind in found.items() if name not in _KEPT_BACK)


def _write(connection: Connection, columns: tuple[Column, ...], writer: _Writer) -> Written:
    names = [column.name for column in columns]
    billed_at, basis_at = names.index("billed_cost"), names.index("x_cost_basis")
    rows, billed, unknown = 0, Decimal(0), 0
    query = sql.SQL(_ROWS).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        table=sql.Identifier(PUBLISHED, _MART.name),
    )
    with connection.cursor("focus") as cursor:
        cursor.execute(query)
        while batch := cursor.fetchmany(_ROWS_AT_ONCE):
            writer.write(batch)
            rows += len(batch)
            with localcontext(prec=MAX_PREC):
                billed = sum((row[billed_at] for row in batch), billed)
            unknown += sum(row[basis_at] == "unknown" for row in batch)
    return Written(rows, billed, unknown)


def _scales(connection: Connection, columns: tuple[Column, ...]) -> dict[str, int]:
    """The most decimals that each column of numbers needs."""
    numbers = [column.name for column in columns if column.kind == "numeric"]
    query = sql.SQL(_SCALES).format(
        scales=sql.SQL(", ").join(
            sql.SQL("coalesce(max(scale(trim_scale({}))), 0)").format(sql.Identifier(name))
            for name in numbers
        ),
        table=sql.Identifier(PUBLISHED, _MART.name),
    )
    [found] = connection.execute(query).fetchall()
    return dict(zip(numbers, found, strict=True))


class CsvWriter:
    """CSV in UTF-8: NULL is empty, times are ISO 8601 in UTC, no text is a formula."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(column.focus_name for column in columns)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows.writerows([cell(value) for value in row] for row in rows)

    def close(self) -> None:
        self._file.close()


class ParquetWriter:
    """Parquet: numbers as decimals with as many digits as they have, times in UTC."""

    def __init__(self, path: Path, columns: tuple[Column, ...], scales: dict[str, int]) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        kinds = {
            "text": pa.string(),
            "integer": pa.int32(),
            "bigint": pa.int64(),
            "date": pa.date32(),
            "timestamp with time zone": pa.timestamp("us", "UTC"),
        }
        self._schema = pa.schema(
            [
                pa.field(
                    column.focus_name,
                    pa.decimal128(_DIGITS, min(scales[column.name], _DIGITS))
                    if column.kind == "numeric"
                    else kinds[column.kind],
                )
                for column in columns
            ]
        )
        self._writer = pq.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        import pyarrow as pa

        try:
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
            ]
        except pa.ArrowInvalid:
            raise InputError(
                f"A figure has more than the {_DIGITS} digits that Parquet holds; write .csv."
            ) from None
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


@contextmanager
def _drafting(path: Path) -> Iterator[Path]:
    try:
        # A link stays one: whoever reads the file that it leads to would get old figures.
        with replacing(Path(realpath(path))) as draft:
            yield draft
    except OSError as error:
        raise LocalError(
            f"{path} can't be written: {error.strerror or error}; name another place."
        ) from None
