"""The upgrade and the downgrade while the old writer writes and its readers read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest

from omniledger import revisions
from omniledger.database import Dsn
from tests.conftest import Server, as_gateway, ask

INSERT = """
    INSERT INTO audit_logs (user_id, message, tokens_input, tokens_output, tokens_cached, success)
    VALUES ((SELECT id FROM users WHERE email = $1), $2, $3, 1, 0, true)
    RETURNING id
"""

READ = """
    SELECT SUM(a.tokens_input + a.tokens_output + a.tokens_cached)
    FROM audit_logs AS a
    JOIN users AS u ON a.user_id = u.id
    WHERE u.email = $1 AND ($2::text = ANY(a.mcps_accessed) OR a.mcps_accessed IS NULL)
"""

# What the old readers ask for, each prepared once and used through the whole upgrade.
READS = (
    """
    SELECT SUM(a.tokens_input + a.tokens_output + a.tokens_cached)
    FROM audit_logs AS a
    JOIN users AS u ON a.user_id = u.id
    WHERE u.email = %(email)s
    """,
    "SELECT id, message, cost_estimate FROM audit_logs WHERE %(mcp)s = ANY(mcps_accessed)",
    "SELECT * FROM audit_logs WHERE message <> %(email)s ORDER BY created_at DESC LIMIT 20",
)

TOOL_CALL = """
    INSERT INTO omni2.audit_logs (user_id, question, tool_called, success, duration_ms)
    VALUES (3, $1, 'read', true, $2)
    RETURNING id
"""


@dataclass
class Gateway:
    """The old writer: what it was told is written, and what went wrong."""

    dsn: Dsn
    stop: threading.Event = field(default_factory=threading.Event)
    kept: dict[int, int] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    rounds: int = 0
    tool_calls: dict[int, int] = field(default_factory=dict)
    reads: int = 0

    async def _write(self) -> None:
        connection = await asyncpg.connect(self.dsn.url())
        try:
            while not self.stop.is_set():
                self.rounds += 1
                await self._round(connection, self.rounds)
        except asyncpg.PostgresError as error:
            self.errors.append(f"writer: {error}")
        finally:
            await connection.close()

    async def _round(self, connection: asyncpg.Connection, tokens: int) -> None:
        id_ = await connection.fetchval(INSERT, "bob@example.com", f"live {tokens}", tokens)
        self.kept[id_] = tokens
        # A transaction of several statements, which no driver repeats by itself.
        async with connection.transaction():
            await connection.fetchval("SELECT COUNT(*) FROM audit_logs WHERE id = $1", id_)
            both = await connection.fetchval(INSERT, "bob@example.com", f"live {tokens}", 1)
        self.kept[both] = 1
        if tokens % 3 == 0:
            await connection.execute(
                "UPDATE audit_logs SET tokens_input = $2 WHERE id = $1", id_, -tokens
            )
            self.kept[id_] = -tokens
        if tokens % 5 == 0:
            await connection.execute("DELETE FROM audit_logs WHERE id = $1", id_)
            del self.kept[id_]
            self.deleted.add(id_)

    async def _read(self) -> None:
        connection = await asyncpg.connect(self.dsn.url())
        try:
            while not self.stop.is_set():
                await connection.fetchval(READ, "bob@example.com", "files")
        except asyncpg.PostgresError as error:
            self.errors.append(f"reader: {error}")
        finally:
            await connection.close()

    async def _call_tools(self) -> None:
        connection = await asyncpg.connect(self.dsn.url())
        try:
            while not self.stop.is_set():
                number = len(self.tool_calls)
                id_ = await connection.fetchval(TOOL_CALL, f"live tool {number}", number)
                self.tool_calls[id_] = number
                await asyncio.sleep(0.001)
        except asyncpg.PostgresError as error:
            self.errors.append(f"gateway: {error}")
        finally:
            await connection.close()

    async def _live(self) -> None:
        await asyncio.gather(self._write(), self._read(), self._call_tools())

    def _read_prepared(self, threshold: int) -> None:
        """Read as psycopg does: prepared on the server at the first or second use."""
        with as_gateway(self.dsn, autocommit=True, prepare_threshold=threshold) as connection:
            try:
                while not self.stop.is_set():
                    for query in READS:
                        connection.execute(query.encode(), {"email": "bob@example.com", "mcp": "x"})
                    with connection.transaction():
                        for query in READS:
                            connection.execute(query.encode(), {"email": "ada", "mcp": "files"})
                    self.reads += 1
            except psycopg.Error as error:
                self.errors.append(f"psycopg reader: {error}")

    @contextmanager
    def living(self) -> Iterator[Gateway]:
        """Write and read in the background, from before the block until after it."""
        threads = [
            threading.Thread(target=lambda: asyncio.run(self._live())),
            *(threading.Thread(target=self._read_prepared, args=(n,)) for n in (0, 1)),
        ]
        for thread in threads:
            thread.start()
        try:
            self._wait_for(self.rounds + 20)
            yield self
            self._wait_for(self.rounds + 20)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    def _wait_for(self, rounds: int) -> None:
        alive, give_up = threading.Event(), time.monotonic() + 120
        reads, calls = self.reads + 3, len(self.tool_calls) + 3
        while (
            self.rounds < rounds or self.reads < reads or len(self.tool_calls) < calls
        ) and not self.errors:
            assert time.monotonic() < give_up, "a writer or a reader has stopped"
            alive.wait(0.01)

    def assert_nothing_lost(self) -> None:
        assert self.errors == []
        chat = "select id, tokens_input from audit_logs where message like 'live%'"
        assert dict(ask(self.dsn, chat)) == self.kept
        tools = "select id, duration_ms from omni2.audit_logs where question like 'live tool%'"
        assert dict(ask(self.dsn, tools)) == self.tool_calls


@pytest.mark.parametrize("history", [0, 20_000])
def test_no_acknowledged_write_is_lost_and_nobody_sees_an_error(
    each_server: Server, history: int
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "insert into public.audit_logs (user_id, message, tokens_input, tokens_output)"
        " select 1 + i %% 3, 'old ' || i, i, 1 from generate_series(1, %s) as i",
        history,
    )
    with Gateway(dsn).living() as gateway:
        revisions.upgrade(dsn)
    gateway.assert_nothing_lost()
    assert gateway.deleted
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
    assert ask(dsn, "select count(*) from audit_logs where message like 'old%'") == [(history,)]
    # Who wrote since the cut over is known of every row.
    assert ask(
        dsn,
        "select count(*) from omni2.audit_logs"
        " where source_system not in ('chat', 'legacy') and question like 'live%'"
        " and tool_called is null",
    ) == [(0,)]


def test_a_downgrade_under_load_loses_nothing_either(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    with Gateway(dsn).living() as gateway:
        revisions.downgrade(dsn, "0006")
    gateway.assert_nothing_lost()
    assert ask(dsn, "select count(*) from omni2.audit_logs where legacy_id is not null") == [(0,)]
