"""An upgrade that meets others' locks and transactions waits, says for whom, and goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migrations import turns
from migrations.patience import patiently
from omniledger import revisions
from omniledger.database import Connection, Dsn, connect
from tests.conftest import Server, as_gateway, ask, started
from tests.faults.harness import Upgrade, wait_until
from tests.replica import STREAMING

pytestmark = pytest.mark.slow

PATIENCE = "OMNILEDGER_LOCK_PATIENCE_SECONDS"

WRITE = "insert into audit_logs (message) values ('others go on')"

BUILD_WAITS = "select count(*) from pg_stat_progress_create_index where phase like 'waiting%'"


@contextmanager
def somebody(dsn: Dsn, *statements: str) -> Iterator[Connection]:
    """A session of an application named "reporting" in the middle of a transaction."""
    with as_gateway(dsn, application_name="reporting") as session:
        for statement in statements:
            session.execute(statement.encode())
        yield session
        session.rollback()


@pytest.mark.parametrize(
    ("start", "holds"),
    [
        ("0006", "insert into audit_logs (message) values ('not committed')"),
        ("0006", "lock table audit_logs in share update exclusive mode"),
        ("0006", "update public.users set email = email"),
        ("0001", "insert into omni2.audit_logs (question, success) values ('open', true)"),
    ],
    ids=["idle in transaction", "a vacuum that does not yield", "on the users", "on the ledger"],
)
def test_it_gives_up_with_the_name_of_who_holds_a_lock_and_goes_on_later(
    server: Server, tmp_path: Path, start: str, holds: str
) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, start)
    with somebody(dsn, holds) as holder:
        upgrade = Upgrade.start(dsn, tmp_path / "log", **{PATIENCE: "1"})
        # Nobody queues behind it for longer than one of its tries.
        with as_gateway(dsn, autocommit=True, options="-c statement_timeout=1s") as writer:
            while not upgrade.is_over():
                writer.execute(WRITE)
                time.sleep(0.02)
        assert upgrade.end() == 3
        said = upgrade.sentence()
        assert f"reporting (pid {holder.info.backend_pid}, idle in transaction, since 20" in said
        assert "for 1 s; end those transactions and run the command again" in said
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_what_is_written_while_the_cut_over_waits_is_brought_over_meanwhile(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation")
    ask(dsn, "insert into audit_logs (message) select 'old' from generate_series(1, 3000)")
    revisions.upgrade(dsn, "0006")
    notes = "select count(*) from ledger.audit_merge_changes"
    with somebody(dsn, "select count(*) from audit_logs"):
        upgrade = Upgrade.start(dsn, tmp_path / "log")
        wait_until("the cut over", lambda: "is locked by reporting" in upgrade.said())
        ask(dsn, "update audit_logs set message = 'changed'")
        wait_until("all of it", lambda: ask(dsn, notes) == [(0,)])
        assert not upgrade.is_over()
    assert upgrade.end() == 0, upgrade.said()
    changed = "select count(*) from audit_logs where message = 'changed'"
    assert ask(dsn, changed) == [(3009,)]
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(3011, True)]


def test_an_index_build_says_whom_it_waits_for_and_gives_up(server: Server, tmp_path: Path) -> None:
    dsn = server.state("investigation:0004")
    snapshot = ("set transaction isolation level repeatable read", "select count(*) from pg_class")
    with somebody(dsn, *snapshot) as reader:
        upgrade = Upgrade.start(dsn, tmp_path / "log", **{PATIENCE: "3"})
        assert upgrade.end() == 3
        name = f"reporting (pid {reader.info.backend_pid}, idle in transaction, since 20"
        assert f"Waiting for {name}" in upgrade.said()
        assert f"The command waited for {name}" in upgrade.sentence()
    invalid = "select count(*) from pg_index where not indisvalid"
    assert ask(dsn, invalid) == [(1,)]
    revisions.upgrade(dsn)
    assert ask(dsn, invalid) == [(0,)]


def test_it_waits_for_a_row_that_somebody_holds_and_goes_on_when_he_is_done(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation:0006")
    # Row 1 of the ledger is matched, so the merge has to write to it.
    with somebody(dsn, "select from omni2.audit_logs where id = 1 for update"):
        upgrade = Upgrade.start(dsn, tmp_path / "log")
        wait_until("a word about it", lambda: "is locked by reporting" in upgrade.said())
        assert not upgrade.is_over()
    assert upgrade.end() == 0, upgrade.said()


def test_a_transaction_that_reads_one_state_all_along_loses_no_row_by_the_cut_over(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation:0006")
    with somebody(dsn, "set transaction isolation level repeatable read", "select 1") as reader:
        upgrade = Upgrade.start(dsn, tmp_path / "log")
        wait_until("a word about it", lambda: "Waiting for reporting" in upgrade.said())
        assert reader.execute("select count(*) from audit_logs").fetchone() == (11,)
    assert upgrade.end() == 0, upgrade.said()
    left = "select to_regclass('ledger.omniledger_outwaited')"
    assert ask(dsn, left) == [(None,)]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which transactions can be prepared, and that a standby may follow."""
    options = {**STREAMING, "max_prepared_transactions": "4"}
    with started(tmp_path_factory.mktemp("own"), None, **options) as server:
        yield server


def by_itself(dsn: Dsn, *statements: str) -> None:
    """Statements that can't run inside of a transaction."""
    with as_gateway(dsn, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())


@contextmanager
def prepared(dsn: Dsn, gid: str, statement: str) -> Iterator[None]:
    """A transaction that its coordinator left prepared."""
    by_itself(dsn, "begin", statement, f"prepare transaction '{gid}'")
    try:
        yield
    finally:
        by_itself(dsn, f"rollback prepared '{gid}'")


@pytest.mark.parametrize(
    ("start", "patience", "holds", "said"),
    [
        (
            "0006",
            "1",
            "insert into audit_logs (message) values ('not committed')",
            "audit_logs was locked by {}",
        ),
        (
            "0006",
            "3",
            "select from omni2.audit_logs where id = 1 for update",
            "audit_logs was locked by {}",
        ),
        (
            "0004",
            "3",
            "insert into omni2.audit_logs (question, success) values ('open', true)",
            "waited for {}",
        ),
    ],
    ids=["a lock that writers would queue behind", "a row", "an index build"],
)
def test_a_prepared_transaction_is_named_so_that_it_can_be_ended(
    own_server: Server, tmp_path: Path, start: str, patience: str, holds: str, said: str
) -> None:
    dsn = own_server.state("investigation")
    revisions.upgrade(dsn, start)
    with prepared(dsn, "two''s batch", holds):
        upgrade = Upgrade.start(dsn, tmp_path / "log", **{PATIENCE: patience})
        assert upgrade.end() == 3
        sentence = upgrade.sentence()
        name = f"the prepared transaction 'two''s batch' (in {dsn.dbname}, since 20"
        assert said.format(name) in sentence
        assert "or `rollback prepared 'two''s batch'` there ends it) for" in sentence
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_a_standby_that_never_confirms_is_said_and_waited_for(
    own_server: Server, tmp_path: Path
) -> None:
    dsn = own_server.state("investigation")
    by_itself(dsn, f'alter database "{dsn.dbname}" set synchronous_commit = on')
    by_itself(dsn, "alter system set synchronous_standby_names = 'gone'", "select pg_reload_conf()")
    try:
        # Longer than its patience, which is for others' transactions.
        upgrade = Upgrade.start(dsn, tmp_path / "log", **{PATIENCE: "1"})
        waits = "Waiting for a synchronous standby to confirm a commit; synchronous_standby_names"
        wait_until("a word about it", lambda: f"{waits} is 'gone'" in upgrade.said())
        # Nothing but the first commit can be in the way yet.
        assert "Running upgrade" not in upgrade.said()
        assert not upgrade.is_over()
    finally:
        by_itself(dsn, "alter system reset synchronous_standby_names", "select pg_reload_conf()")
    assert upgrade.end() == 0, upgrade.said()
    assert "commit locally" not in upgrade.said()
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_of_two_upgrades_at_once_one_waits_and_finds_nothing_to_do(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation")
    snapshot = ("set transaction isolation level repeatable read", "select count(*) from pg_class")
    with somebody(dsn, *snapshot):
        first = Upgrade.start(dsn, tmp_path / "first")
        wait_until("its index build", lambda: ask(dsn, BUILD_WAITS) == [(1,)])
        second = Upgrade.start(dsn, tmp_path / "second")
        waits = "Another upgrade is at work; waiting for it to end."
        wait_until("the other's turn", lambda: waits in second.said())
    assert (first.end(), second.end()) == (0, 0), first.said() + second.said()
    assert "Running upgrade" in first.said()
    assert "Running upgrade" not in second.said()
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_the_next_command_waits_for_no_session_of_an_upgrade_to_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("empty")
    with connect(dsn, autocommit=True) as another, monkeypatch.context() as patch:
        with turns.taken(dsn, print) as guard:
            assert turns.is_taken(another)
            # A server may take its time to notice the end.
            patch.setattr(guard, "close", lambda: None)
        assert not turns.is_taken(another)
    guard.close()


def test_it_ends_the_build_that_a_killed_upgrade_left_in_the_server(
    server: Server, tmp_path: Path
) -> None:
    dsn = server.state("investigation:0004")
    snapshot = ("set transaction isolation level repeatable read", "select count(*) from pg_class")
    with somebody(dsn, *snapshot):
        killed = Upgrade.start(dsn, tmp_path / "killed")
        wait_until("its index build", lambda: ask(dsn, BUILD_WAITS) == [(1,)])
        [(left,)] = ask(dsn, "select pid from pg_stat_progress_create_index")
        killed.kill()
        # The server does not notice: the build would wait for as long as the snapshot lives.
        upgrade = Upgrade.start(dsn, tmp_path / "log")
        still_there = "select count(*) from pg_stat_activity where pid = %s"
        wait_until("the end of what was left", lambda: ask(dsn, still_there, left) == [(0,)])
    assert upgrade.end() == 0, upgrade.said()
    assert ask(dsn, "select count(*) from pg_index where not indisvalid") == [(0,)]


def test_a_short_try_leaves_no_hurry_of_the_database_behind(server: Server) -> None:
    dsn = server.state("gateway")
    ask(dsn, f"alter database \"{dsn.dbname}\" set lock_timeout = '5ms'")
    with connect(dsn, autocommit=True) as connection:
        patiently(connection, "omni2.audit_logs", lambda: connection.execute("select 1"))
        assert connection.execute("show lock_timeout").fetchone() == ("0",)
