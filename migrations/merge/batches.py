"""The old rows in ranges of ids, sized by the time that a range takes, for several workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from psycopg import sql

from omniledger.database import Connection, another

TARGET_SECONDS = 0.5
"""How long one batch should take: short enough to be killed and repeated at no loss."""

_FIRST = 5_000
_SMALLEST = 100
_LARGEST = 50_000
BEFORE_ALL = -(2**63) - 1
"""Below the least id that a column can hold."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """How far a step of the merge is: old rows passed, and old rows in all."""

    step: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Range:
    """The `rows` old rows whose ids are above `after` and up to `upto`."""

    after: int
    upto: int
    rows: int

    def values(self) -> dict[str, object]:
        """The parameters of a statement about it."""
        return {"after": self.after, "upto": self.upto}


class Size:
    """How many rows to take at once, so that a batch takes `TARGET_SECONDS`."""

    def __init__(self) -> None:
        self.rows = _FIRST

    def learn(self, rows: int, seconds: float) -> None:
        """Grow, at most to the double, or shrink, by what one batch took."""
        wanted = int(rows * TARGET_SECONDS / max(seconds, 0.001))
        self.rows = max(_SMALLEST, min(_LARGEST, self.rows * 2, wanted))


def in_batches(
    connection: Connection,
    workers: Sequence[Connection],
    table: sql.Composable,
    act: Callable[[Connection, Range], Result],
) -> Iterator[tuple[Range, Result]]:
    """Call `act` for each range of the table's ids, oldest first, with all workers at once.

    Args:
        connection: where the ranges are read.
        workers: a further connection for each worker.
        table: the old rows.
        act: what to do with one range, in a thread of its own; it must be repeatable.

    Yields:
        Each range when it is done, with what `act` returned.
    """
    # What is written from now on is noted by the watch; chasing it would never end.
    newest = _newest(connection, table)
    size, after, free = Size(), BEFORE_ALL, list(workers)
    running: dict[Future[tuple[Result, float]], tuple[Connection, Range]] = {}

    def timed(worker: Connection, chunk: Range) -> tuple[Result, float]:
        began = time.monotonic()
        return act(worker, chunk), time.monotonic() - began

    with ThreadPoolExecutor(len(workers), "merge") as pool:
        while True:
            while free and (chunk := _next(connection, table, after, newest, size.rows)):
                worker, after = free.pop(), chunk.upto
                running[pool.submit(timed, worker, chunk)] = (worker, chunk)
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                worker, chunk = running.pop(future)
                result, seconds = future.result()
                free.append(worker)
                size.learn(chunk.rows, seconds)
                yield chunk, result


def _newest(connection: Connection, table: sql.Composable) -> int:
    row = connection.execute(sql.SQL("select max(id) from {}").format(table)).fetchone()
    return row[0] if row and row[0] is not None else BEFORE_ALL


def _next(
    connection: Connection, table: sql.Composable, after: int, newest: int, size: int
) -> Range | None:
    row = connection.execute(
        sql.SQL(
            "select max(id), count(*) from ("
            "select id from {} where id > %(after)s and id <= %(newest)s"
            " order by id limit %(size)s) as batch"
        ).format(table),
        {"after": after, "newest": newest, "size": size},
    ).fetchone()
    return Range(after, row[0], row[1]) if row and row[0] is not None else None


def count(connection: Connection, table: sql.Composable) -> int:
    """How many rows a table has."""
    row = connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def workers_of(connection: Connection, number: int) -> Iterator[list[Connection]]:
    """As many further connections to the same database, for the length of the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(another(connection, autocommit=True)) for _ in range(number)]
