"""Rows as Parquet files, one for each day: exact, whole or not there, and read back once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from omniledger.database import Connection
from omniledger.errors import LocalError
from omniledger.explaining import first_line
from omniledger.files import replacing, require_room

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_ROWS_AT_ONCE = 10_000
_DIGITS = 76
"""Of a Parquet decimal256; numbers that need more are written as text."""

_MARK = b"omniledger.pruning"
_KIND = b"postgresql.type"

_COLUMNS = """
    select attname::text, format_type(atttypid, null)
    from pg_attribute
    where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
    order by attnum
"""

# NaN and the infinities have no scale, and no time is infinite in Parquet.
_PROBES = {
    "numeric": "coalesce(max(scale(trim_scale({0}))), 0),"
    " coalesce(max(length(trunc(abs({0}))::text)), 0),"
    " coalesce(bool_or({0} is not null and scale({0}) is null), false)",
    "timestamp with time zone": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
    "timestamp without time zone": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
    "date": "0, 0, coalesce(bool_or(not isfinite({0})), false)",
}

_SINCE_1970 = "(extract(epoch from {} - timestamp{} '1970-01-01 00:00{}') * 1000000)::bigint"


@dataclass(frozen=True)
class _Column:
    """A column of the file: how it is asked for, and its type there."""

    name: str
    kind: str
    select: sql.Composable
    type: Any


def file_of(folder: Path, pruning_id: int, table: str, day: date) -> Path:
    """Where the rows of a day go."""
    return folder / f"pruning-{pruning_id:04d}" / table / f"{day}.parquet"


@dataclass(frozen=True)
class Rows:
    """Which rows: the table in `omni2`, what follows FROM (it is `raw` there), its parameters."""

    table: str
    query: sql.Composed
    values: dict[str, object]


def require_writable(folder: Path, *, is_known: bool, has_rows: bool) -> None:
    """Refuse a folder in which no file can be made; it is made where it isn't there.

    Args:
        is_known: whether it was to be written to before; then it isn't made, for it may be
            elsewhere.
        has_rows: whether rows were put there; then it isn't empty, or its disk isn't mounted.

    Raises:
        LocalError: the sentence says why not.
    """
    if is_known and not folder.exists():
        raise LocalError(
            f"{folder}, the archive of an earlier removal, isn't there any more; nothing was "
            "removed, mount or make it, or name another folder in --archive."
        )
    try:
        if has_rows and not any(folder.iterdir()):
            raise LocalError(
                f"{folder}, the archive of an earlier removal, is empty; nothing was removed, "
                "mount it, put any file there if its own were moved away, or name another folder "
                "in --archive."
            )
        require_room(folder)
    except OSError as error:
        raise LocalError(
            f"{folder} can't be written: {error.strerror or error}; nothing was removed, name "
            "another folder in --archive."
        ) from None


def write(connection: Connection, path: Path, rows: Rows, mark: str) -> None:
    """Write rows to a file, unless it is there already; killed at any point it leaves none.

    Args:
        mark: of the removal; a file of another one is never written over.

    Raises:
        LocalError: it can't be written, or is another's.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    with _explained(path):
        if path.exists():
            with _whole(path):
                known = pq.read_schema(path).metadata or {}
            if known.get(_MARK) != mark.encode():
                raise LocalError(
                    f"{path} is of another removal of rows; name another folder in --archive."
                )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read, read only")
            columns = list(_columns(connection, rows))
            with replacing(path) as draft:
                count = _write(connection, draft, columns, rows, mark)
                if pq.ParquetFile(draft).metadata.num_rows != count:
                    raise LocalError(f"{path} doesn't hold what was written; look at that disk.")
        _keep_name(path.parent)


def ids(path: Path) -> Iterator[int]:
    """The ids of a file's rows, in its order.

    Raises:
        LocalError: it can't be read.
    """
    import pyarrow.parquet as pq

    with _whole(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["id"]):
            yield from batch.column(0).to_pylist()


def _write(
    connection: Connection, draft: Path, columns: Sequence[_Column], rows: Rows, mark: str
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [pa.field(c.name, c.type, metadata={_KIND: c.kind.encode()}) for c in columns],
        metadata={_MARK: mark.encode()},
    )
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(c.select for c in columns), rows.query
    )
    count = 0
    with connection.cursor("archive") as cursor, pq.ParquetWriter(draft, schema) as writer:
        cursor.execute(query, rows.values)
        while batch := cursor.fetchmany(_ROWS_AT_ONCE):
            arrays = [
                _array(values, field.type)
                for values, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _array(values: Sequence[Any], kind: Any) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_temporal(kind):
        return pa.array(values, type=pa.int64()).cast(kind)
    return pa.array(values, type=kind)


def _columns(connection: Connection, rows: Rows) -> Iterator[_Column]:
    found = connection.execute(_COLUMNS, [f"omni2.{rows.table}"]).fetchall()
    probed = [(name, kind) for name, kind in found if kind in _PROBES]
    probes = sql.SQL(", ").join(
        sql.SQL(_PROBES[kind]).format(sql.Identifier("raw", name)) for name, kind in probed
    )
    query = sql.SQL("select {} from {}").format(probes, rows.query)
    [said] = connection.execute(query, rows.values).fetchall()
    shapes = {name: said[3 * n : 3 * n + 3] for n, (name, _) in enumerate(probed)}
    for name, kind in found:
        scale, digits, is_odd = shapes.get(name, (0, 0, False))
        yield _column(name, kind, scale, digits + scale, is_odd)


def _column(name: str, kind: str, scale: int, digits: int, is_odd: bool) -> _Column:
    """What Parquet has a type for keeps it; everything else is PostgreSQL's own text of it."""
    import pyarrow as pa

    plain = {
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "real": pa.float32(),
        "double precision": pa.float64(),
        "boolean": pa.bool_(),
        "text[]": pa.list_(pa.string()),
    }
    column = sql.Identifier("raw", name)
    if kind in plain:
        return _Column(name, kind, column, plain[kind])
    if kind == "numeric" and not is_odd and digits <= _DIGITS:
        exact = pa.decimal128(38, scale) if digits <= 38 else pa.decimal256(_DIGITS, scale)
        return _Column(name, kind, column, exact)
    if kind == "timestamp with time zone" and not is_odd:
        return _Column(name, kind, _since_1970(column, "tz", "+00"), pa.timestamp("us", "UTC"))
    if kind == "timestamp without time zone" and not is_odd:
        return _Column(name, kind, _since_1970(column, "", ""), pa.timestamp("us"))
    return _Column(name, kind, sql.SQL("{}::text").format(column), pa.string())


def _since_1970(column: sql.Composable, zone: str, offset: str) -> sql.Composed:
    return sql.SQL(_SINCE_1970).format(column, sql.SQL(zone), sql.SQL(offset))


def _keep_name(folder: Path) -> None:
    """Put a new name on the disk, too: the rows behind it are about to go."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise LocalError(
            f"{path} can't be read as a Parquet file ({first_line(error)}), and no row of it was "
            "removed in this call; restore it, or move it away, and run the command again."
        ) from None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalError(
            f"{path} can't be written: {error.strerror or error}; no row of it was removed, name "
            "another folder in --archive or make room."
        ) from None
