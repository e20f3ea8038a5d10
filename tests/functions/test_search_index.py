"""The search index: where pg_trgm can't be had, and once it can."""

from dataclasses import replace

import pytest
from psycopg import sql

from migrations.search import build_search, drop_search
from omniledger.database import Dsn, connect
from tests.conftest import Server, ask

VALID = """
    select c.relname::text
    from pg_index as i inner join pg_class as c on i.indexrelid = c.oid
    where c.relname in ('omniledger_audit_logs_search', 'omniledger_users_search') and i.indisvalid
    order by 1
"""
READ = """
    select
        pg_stat_get_xact_numscans('auth_service.omniledger_users_search'::regclass),
        pg_stat_get_xact_numscans('omni2.omniledger_audit_logs_search'::regclass),
        pg_stat_get_xact_tuples_returned('omni2.omniledger_audit_logs_search'::regclass)
"""
"""What this transaction read of the indexes."""
BOTH = [("omniledger_audit_logs_search",), ("omniledger_users_search",)]


@pytest.fixture
def owned(server: Server) -> Dsn:
    """A database whose tables belong to somebody who may create no extension."""
    dsn = server.state("gateway:upgraded")
    with connect(dsn) as connection:
        connection.execute(
            sql.SQL(
                "do $$ begin create role tenant login password 'x';"
                " exception when duplicate_object then null; end $$;"
                "grant usage, create on schema omni2, auth_service, ledger to tenant;"
                "grant select, insert, delete on ledger.settings to tenant;"
                "grant execute on all functions in schema ledger to tenant;"
                "alter table omni2.audit_logs owner to tenant;"
                "alter table auth_service.users owner to tenant"
            )
        )
    return replace(dsn, user="tenant", password="x")  # noqa: S106 (of this role)


def test_without_the_extension_it_says_so_and_goes_on(
    owned: Dsn, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(owned, autocommit=True) as connection, caplog.at_level("WARNING"):
        assert not build_search(connection)
    assert "pg_trgm" in caplog.text and "omniledger logs index" in caplog.text
    assert ask(owned, VALID) == []


def test_a_later_try_takes_the_extension_up(server: Server, owned: Dsn) -> None:
    with connect(replace(server.dsn, dbname=owned.dbname)) as administrator:
        administrator.execute("create extension pg_trgm schema public")
    with connect(owned, autocommit=True) as connection:
        assert build_search(connection)
        assert ask(owned, VALID) == BOTH
        assert build_search(connection)
        drop_search(connection)
    assert ask(owned, VALID) == []
    assert ask(owned, "select extname from pg_extension where extname = 'pg_trgm'") != []


def test_an_index_that_was_left_broken_is_built_again(server: Server) -> None:
    dsn = server.state("gateway:upgraded")
    assert ask(dsn, VALID) == []
    with connect(dsn, autocommit=True) as connection:
        assert build_search(connection)
    ask(
        dsn,
        "update pg_index set indisvalid = false where indexrelid ="
        " 'omni2.omniledger_audit_logs_search'::regclass",
    )
    with connect(dsn, autocommit=True) as connection:
        assert build_search(connection)
    assert ask(dsn, VALID) == BOTH


@pytest.mark.parametrize("state", ["gateway", "collations", "caseless_collations"])
def test_the_index_itself_finds_the_word(each_server: Server, state: str) -> None:
    dsn = each_server.state(f"{state}:upgraded")
    with connect(dsn, autocommit=True) as connection:
        assert build_search(connection)
    ask(
        dsn,
        "insert into omni2.audit_logs (question, mcp_target, success)"
        " select case n when 1 then 'a wombat' else 'common' end, 'files', true"
        " from generate_series(1, 50) as n",
    )
    with connect(dsn) as connection:
        search = "select cardinality(ledger.audit_indexed('files', 'all', '%wombat%', 10))"
        assert connection.execute(search).fetchall() == [(1,)]
        # Of the audit log's index the one row that says the word, not all of that server.
        assert connection.execute(READ).fetchall() == [(1, 1, 1)]
