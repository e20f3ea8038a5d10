"""Databases that aren't ours: behind a pooler, behind TLS, as a tenant with few rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from omniledger.inspection.questions import QUESTIONS
from omniledger.sessions import require_lasting
from tests.conftest import GATEWAY, STATES, Server, ask, from_files
from tests.migrations.operator import omniledger
from tests.pooler import make_certificate, pooled
from tests.test_cli import refusal, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pooler(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dsn]:
    # The server's user has to pass to the folder, as to the embedded data.
    folder = tmp_path_factory.mktemp("pooler")
    _let_pass(folder)
    with pooled(folder / "pooler", server.dsn) as dsn:
        yield dsn


def _let_pass(folder: Path) -> None:
    for one in (folder, *folder.parents):
        if one.stat().st_uid == os.geteuid():
            one.chmod(one.stat().st_mode | 0o001)


def through(pooler: Dsn, dsn: Dsn, **options: str) -> Dsn:
    return replace(pooler, dbname=dsn.dbname, options=tuple(options.items()))


def test_writers_and_readers_go_on_through_a_pooler(server: Server, pooler: Dsn) -> None:
    dsn = server.state("investigation:upgraded")
    there = through(pooler, dsn)
    [(id_,)] = ask(
        there,
        "insert into audit_logs (user_id, message, tokens_input, tokens_output)"
        " values (1, 'pooled', 3, 4) returning id",
    )
    ask(there, "update audit_logs set status = 'success' where id = %s", id_)
    assert ask(there, "select message, tokens_input from audit_logs where id = %s", id_) == [
        ("pooled", 3)
    ]
    found = ask(
        there,
        "select llm_tokens_used, status, source_system from omni2.audit_logs where legacy_id = %s",
        id_,
    )
    assert found == [(7, "success", "chat")]
    assert ask(there, "select ledger.check_usage_limit(1) is not null") == [(True,)]
    assert ask(there, "select ledger.mcp_server_logs_json(1, 5) is not null") == [(True,)]


def test_inspection_leaves_nothing_behind_on_a_lent_session(server: Server, pooler: Dsn) -> None:
    dsn = server.state("investigation")
    there = through(pooler, dsn)
    settings = "select name, setting from pg_settings where source = 'session'"
    before = ask(there, settings)
    said = omniledger(there, "inspect", "--json")
    assert said.code == 1 and len(said.document()["findings"]) == len(QUESTIONS)
    assert ask(there, settings) == before
    assert ask(there, "select count(*) from pg_prepared_statements") == [(0,)]
    ask(there, "insert into public.audit_logs (message) values ('still writable')")


@pytest.mark.parametrize("command", ["merge run", "run", "merge retry-quarantine"])
def test_long_work_is_refused_through_a_pooler(server: Server, pooler: Dsn, command: str) -> None:
    said = omniledger(through(pooler, server.state("investigation:upgraded")), *command.split())
    assert said.code == 4
    assert said.refusal.endswith(
        "is a pooler that lends a session for one transaction, as PgBouncer does in transaction "
        "mode, and no lock lasts there; name the server's own address in DATABASE_URL for this "
        "command."
    )


def test_an_upgrade_is_refused_through_a_pooler(server: Server, pooler: Dsn) -> None:
    dsn = server.state("investigation")
    url = through(pooler, dsn).url()
    assert "is a pooler" in refusal(run("upgrade", "head", database=url, program="alembic"), 4)
    assert ask(dsn, "select to_regnamespace('ledger')") == [(None,)]


def test_a_pooler_that_lends_whole_sessions_is_let_through(server: Server, tmp_path: Path) -> None:
    _let_pass(tmp_path)
    with (
        pooled(tmp_path / "pooler", server.dsn, mode="session") as dsn,
        connect(dsn, autocommit=True) as connection,
    ):
        require_lasting(connection)


def test_a_pooler_is_seen_through_while_others_use_it(server: Server, pooler: Dsn) -> None:
    with (
        connect(pooler) as other,
        connect(pooler, autocommit=True) as connection,
        pytest.raises(NotReadyError, match="is a pooler"),
    ):
        other.execute("select 1")
        require_lasting(connection)


def test_certificates_are_asked_for_and_checked(
    server: Server, pooler: Dsn, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificate = next(tmp_path_factory.getbasetemp().glob("pooler*/pooler/server.crt"))
    dsn = server.state("investigation:upgraded")
    for options in (
        {"sslmode": "require"},
        {"sslmode": "verify-full", "sslrootcert": str(certificate)},
    ):
        there = through(pooler, dsn, **options)
        with connect(there) as connection:
            assert connection.pgconn.ssl_in_use
        assert omniledger(there, "merge", "status").code == 0
    make_certificate(tmp_path)
    for other in ("server.crt", "missing.crt"):
        strange = through(pooler, dsn, sslmode="verify-full", sslrootcert=str(tmp_path / other))
        said = omniledger(strange, "merge", "status")
        assert said.code == 3 and "certificate can't be checked" in said.refusal


def test_a_tenant_upgrades_merges_and_inspects(server: Server, tenant: Dsn) -> None:
    ask(
        tenant,
        "create table audit_logs (id serial primary key, user_id integer, message text,"
        " tokens_input integer, tokens_output integer, cost_estimate numeric(10, 6),"
        " created_at timestamptz default now())",
    )
    ask(tenant, "insert into audit_logs (message, tokens_input) values ('a', 1), ('b', 2)")
    closed = run("upgrade", "head", database=tenant.url(), program="alembic")
    assert "may not create anything in the schema public" in refusal(closed, 4)
    assert ask(tenant, "select to_regnamespace('ledger')") == [(None,)]

    here = {"OMNILEDGER_LEGACY_SCHEMA": "gateway"}
    later = ("-x", "merge=later", "upgrade", "head")
    done = run(*later, database=tenant.url(), program="alembic", **here)
    assert done.returncode == 0, done.stderr

    admin = replace(server.dsn, dbname=tenant.dbname)
    ask(admin, f"revoke create on schema ledger from {tenant.user}")
    said = omniledger(tenant, "merge", "run", **here)
    assert said.code == 4
    assert "may not create anything in the schema ledger" in said.refusal
    assert ask(tenant, "select count(*) from ledger.merge_runs") == [(0,)]
    ask(admin, f"grant create on schema ledger to {tenant.user}")

    assert omniledger(tenant, "merge", "run", **here).code == 0
    ask(tenant, "insert into audit_logs (message) values ('c')")
    assert ask(tenant, "select message from audit_logs order by id") == [("a",), ("b",), ("c",)]
    said = omniledger(tenant, "inspect", "--json", **here)
    assert said.document()["lacking_rights"] == []


def test_a_database_that_names_no_encoding(server: Server) -> None:
    dsn = server.new_in("SQL_ASCII")
    with connect(dsn) as connection:
        from_files(GATEWAY, STATES / "investigation.sql")(connection)
    ask(dsn, "update audit_logs set message = 'Grüße' where id = 101")
    done = run("upgrade", "head", database=dsn.url(), program="alembic")
    assert done.returncode == 0, done.stderr
    assert ask(dsn, "select message from audit_logs where id = 101") == [("Grüße",)]
    assert omniledger(dsn, "merge", "verify").code == 0
    assert omniledger(dsn, "inspect").code == 1
