"""Writers that go on through every fault, and remember exactly what they were promised."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg  # type: ignore[import-untyped]

from omniledger.database import Dsn
from tests.conftest import ask

GONE = None
"""What a row that is not there is known as."""

_LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.ConnectionDoesNotExistError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    asyncpg.exceptions.CannotConnectNowError,
)
"""What a writer sees when its server goes down: it can't know whether its write is kept."""


@dataclass(frozen=True)
class Table:
    """How one of the two systems writes."""

    insert: str
    update: str
    delete: str
    read: str


CHAT = Table(
    "INSERT INTO audit_logs (user_id, message, tokens_input, tokens_output, tokens_cached, success)"
    " VALUES (2, $1, $2, 1, 0, true) RETURNING id",
    "UPDATE audit_logs SET tokens_input = $2 WHERE id = $1",
    "DELETE FROM audit_logs WHERE id = $1",
    "select message, id, tokens_input from audit_logs where message like 'live %'",
)
"""The chat writer: unqualified, through the old name."""

GATEWAY = Table(
    "INSERT INTO omni2.audit_logs (user_id, question, tool_called, success, duration_ms)"
    " VALUES (3, $1, 'read', true, $2) RETURNING id",
    "UPDATE omni2.audit_logs SET duration_ms = $2 WHERE id = $1",
    "DELETE FROM omni2.audit_logs WHERE id = $1",
    "select question, id, duration_ms from omni2.audit_logs where question like 'tool %'",
)
"""The gateway's own writer."""


@dataclass
class Writer:
    """One connection at a time that inserts, and now and then updates or deletes a row of its own.

    Attributes:
        outcomes: for each row that it wrote, by its text, what may be there now: one value where
            every write was acknowledged, two where one was not.
        ids: the id that each acknowledged insert returned.
        errors: what no live writer may ever see.
    """

    dsn: Dsn
    table: Table
    prefix: str
    random: random.Random
    outcomes: dict[str, set[int | None]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    reconnects: int = 0

    async def run(self, stop: threading.Event) -> None:
        """Write until `stop`, with a new connection whenever the server went down."""
        while not stop.is_set() and not self.errors:
            try:
                connection = await asyncpg.connect(self.dsn.url(), timeout=5)
            except (*_LOST, TimeoutError):
                await asyncio.sleep(0.02)
                continue
            self.reconnects += 1
            try:
                while not stop.is_set():
                    await self._write(connection)
            except _LOST:
                connection.terminate()
            except (asyncpg.PostgresError, AssertionError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            finally:
                if not connection.is_closed():
                    await connection.close()

    async def _write(self, connection: asyncpg.Connection) -> None:
        key = f"{self.prefix} {len(self.outcomes)}"
        value = self.random.randrange(1, 1000)
        self.outcomes[key] = {value, GONE}
        id_ = await connection.fetchval(self.table.insert, key, value)
        self.outcomes[key] = {value}
        self.ids[key] = id_
        if self.random.random() < 0.3:
            value = self.random.randrange(1000, 2000)
            update = connection.execute(self.table.update, id_, value)
            await self._change(key, value, update, "UPDATE 1")
        if self.random.random() < 0.2:
            delete = connection.execute(self.table.delete, id_)
            await self._change(key, GONE, delete, "DELETE 1")
        # A pause between requests, as between those of people: a busy loop would starve the rest.
        await asyncio.sleep(0.002)

    async def _change(
        self, key: str, value: int | None, written: Awaitable[str], expected: str
    ) -> None:
        self.outcomes[key] |= {value}
        done = await written
        assert done == expected, f"{done} for the row {key!r}"
        self.outcomes[key] = {value}

    def faults(self) -> list[str]:
        """What was promised and is not so."""
        rows = ask(self.dsn, self.table.read)
        mine = [row for row in rows if row[0].startswith(f"{self.prefix} ")]
        found = {key: (id_, value) for key, id_, value in mine}
        doubled = [f"{len(mine) - len(found)} rows are doubled"] if len(found) < len(mine) else []
        wrong = []
        for key, allowed in self.outcomes.items():
            id_, value = found.get(key, (None, GONE))
            if value not in allowed:
                wrong.append(f"{key}: {value} is there, {sorted(map(str, allowed))} was promised")
            if id_ is not None and self.ids.get(key, id_) != id_:
                wrong.append(f"{key}: its id was {self.ids[key]} and is {id_}")
        invented = [f"{key} was never written" for key in found.keys() - self.outcomes.keys()]
        return [*self.errors, *doubled, *wrong, *invented]


@contextmanager
def writing(dsn: Dsn, seed: int) -> Iterator[list[Writer]]:
    """Two chat writers and one of the gateway, at work during the block."""
    writers = [
        Writer(dsn, table, f"{prefix} {number}", random.Random(f"{seed} {number}"))
        for number, (table, prefix) in enumerate(
            [(CHAT, "live"), (CHAT, "live"), (GATEWAY, "tool")]
        )
    ]
    stop = threading.Event()

    async def work() -> None:
        await asyncio.gather(*(writer.run(stop) for writer in writers))

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        wait_for_writes(writers)
        yield writers
        wait_for_writes(writers)
    finally:
        stop.set()
        thread.join()


def wait_for_writes(writers: list[Writer], count: int = 20) -> None:
    """Let each writer write some more."""
    goals = [len(writer.ids) + count for writer in writers]
    tick = threading.Event()
    while any(
        len(writer.ids) < goal and not writer.errors
        for writer, goal in zip(writers, goals, strict=True)
    ):
        tick.wait(0.01)
