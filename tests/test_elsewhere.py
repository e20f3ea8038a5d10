"""Databases that are not ours: behind a pooler, over TLS, with few rights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import asyncpg  # type: ignore[import-untyped]
import pytest

from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger
from tests.pooler import pooled


@pytest.fixture(scope="module")
def upgraded(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


@pytest.fixture(scope="module")
def shared(upgraded: Dsn) -> Iterator[Dsn]:
    """Behind a pooler that gives each transaction any session."""
    with pooled(upgraded, "transaction") as dsn:
        yield dsn


async def write_as_the_gateway_does(dsn: Dsn) -> list[int]:
    """Several writers at once, whose statements come to each other's sessions."""

    async def write(number: int) -> int:
        # Without its cache of statements, as asyncpg says to use it behind such a pooler.
        connection = await asyncpg.connect(dsn.url(), statement_cache_size=0)
        for turn in range(10):
            id_ = await connection.fetchval(
                "INSERT INTO audit_logs (user_id, message, tokens_input, tokens_output)"
                " VALUES ($1, $2, $3, $4) RETURNING id",
                2,
                f"{number} {turn}",
                10,
                1,
            )
            await connection.execute("UPDATE audit_logs SET status = $1 WHERE id = $2", "done", id_)
        await connection.close()
        return int(id_)

    return await asyncio.gather(*(write(number) for number in range(4)))


def test_the_gateway_goes_on_behind_a_pooler_of_transactions(upgraded: Dsn, shared: Dsn) -> None:
    before = ask(upgraded, "select count(*) from audit_logs")[0][0]
    asyncio.run(write_as_the_gateway_does(shared))
    assert ask(shared, "select count(*) from audit_logs") == [(before + 40,)]
    assert ask(shared, "select count(*) from audit_logs where status = 'done'") == [(40,)]
    with connect(shared, autocommit=True) as connection:
        for _ in range(10):
            connection.execute("select * from ledger.check_usage_limit(%s)", (2,))


def test_inspect_reads_through_it_and_leaves_no_setting_behind(shared: Dsn) -> None:
    assert omniledger(shared, "inspect", "--json").code in (0, 1)
    with connect(shared, autocommit=True) as one, connect(shared, autocommit=True) as other:
        for connection in (one, other):
            assert connection.execute("show statement_timeout").fetchone() == ("0",)
            assert connection.execute("show transaction_read_only").fetchone() == ("off",)


@pytest.mark.parametrize(
    "command",
    [("merge", "run"), ("prune", "--keep-days", "400", "--dry-run"), ("publish",)],
    ids=" ".join,
)
def test_what_holds_a_lock_is_refused_there(shared: Dsn, command: tuple[str, ...]) -> None:
    said = omniledger(shared, *command)
    assert said.code == 4
    assert "A connection pooler in transaction mode answers" in said.refusal
    assert shared.password not in said.refusal


@pytest.mark.parametrize("size", [1, 2, 20])
def test_an_upgrade_is_refused_there_however_large_the_pool(server: Server, size: int) -> None:
    dsn = server.state("investigation")
    refused = pytest.raises(NotReadyError, match="pooler in transaction mode")
    with pooled(dsn, "transaction", size=size) as shared, refused:
        revisions.upgrade(shared)
    assert ask(dsn, "select to_regnamespace('ledger')") == [(None,)]


def test_an_upgrade_goes_through_a_pooler_of_sessions_that_speaks_tls(server: Server) -> None:
    with pooled(server.state("investigation"), "session", tls=True) as dsn:
        revisions.upgrade(dsn)
        assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
        assert omniledger(dsn, "merge", "verify").code == 0
        stranger = replace(dsn, options=(("sslmode", "verify-full"),))
        said = omniledger(stranger, "inspect")
        assert said.code == 3
        assert "no SSL came about" in said.refusal
