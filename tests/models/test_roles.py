"""Each role connects and tries what it must do, and what it must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from expectations import gate
from migrations.roles import granting
from omniledger import modelling, revisions
from omniledger.database import Dsn, connect, session
from omniledger.errors import NotReadyError
from omniledger.marts import BUILD, MARTS
from omniledger.pricing import loading
from omniledger.publish import publish
from omniledger.roles import OWNER, READER, ROLES, RUNNER, WRITER, let_runners_own
from omniledger.runs import recorded
from tests.conftest import GATEWAY, Server, ask, from_files
from tests.models.conftest import Prepared, request_at

DENIED = psycopg.errors.InsufficientPrivilege
INLINED = {
    "audit_complaint",
    "audit_keys",
    "audit_listed",
    "audit_text",
    "bare_model_name",
    "is_dated",
    "normal_model_name",
    "price_usage",
}
"""A pinned search path would keep them from becoming part of the query that calls them. They name
what they read, and name what they call or get it from pg_catalog, which is looked at first."""


@contextmanager
def member(dsn: Dsn, role: str | None, *options: str) -> Iterator[Dsn]:
    """A login of its own that may what the role may."""
    name, password = f"login_{uuid4().hex[:12]}", "its-own"
    ask(dsn, f"create role {name} login password '{password}' {' '.join(options)}")
    if role is not None:
        ask(dsn, f"grant {role} to {name}")
    try:
        yield replace(dsn, user=name, password=password)
    finally:
        ask(dsn, f"drop owned by {name} cascade; drop role {name}")


def denied(dsn: Dsn, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(DENIED):
            ask(dsn, statement)


@pytest.fixture
def dsn(prepared: Prepared) -> Dsn:
    """An upgraded gateway whose marts a superuser built; its roles were granted again since.

    Nothing is everybody's in it, as where default privileges take functions from PUBLIC.
    """
    dsn = prepared.restore("empty").dsn
    ask(dsn, "revoke execute on all functions in schema ledger from public")
    for _ in range(2):
        ask(dsn, granting("public"))
    return dsn


def test_the_gateway_writes_through_both_names_and_nothing_else(dsn: Dsn) -> None:
    insert = "insert into {} ({}) values ({}) returning id"
    chat = "user_id, message, tokens_input, tokens_output, success", "1, 'hi', 10, 2, true"
    tool = "user_id, question, tool_called, success, mcps_accessed", "1, 'q', 't', true, '{a,b}'"
    with member(dsn, WRITER) as writer:
        [(old,)] = ask(writer, insert.format("audit_logs", *chat))
        [(new,)] = ask(writer, insert.format("omni2.audit_logs", *tool))
        ask(writer, "insert into omni2.mcp_servers (id, name) values (7, 'a')")
        ask(
            writer, "insert into omni2.mcp_health_log (mcp_server_id, status) values (7, 'healthy')"
        )
        # What the triggers owe it: total, cost, the list of servers, the note of a deletion.
        filled = "select llm_tokens_used, cost_usd is not null from omni2.audit_logs"
        assert ask(writer, f"{filled} where legacy_id = {old}") == [(12, True)]
        ask(writer, f"update audit_logs set status = 'success' where id = {old}")
        ask(writer, f"update omni2.audit_logs set timestamp = '2026-01-01' where id = {new}")
        ask(writer, f"delete from audit_logs where id = {old}")
        assert ask(dsn, "select count(*) from ledger.deleted_days") == [(2,)]
        assert ask(dsn, "select count(*) from ledger.audit_tombstones") == [(1,)]
        assert ask(writer, "select allowed from ledger.check_usage_limit(1)") == [(True,)]
        assert len(ask(writer, "select * from ledger.mcp_server_audit(7, null, null, 5)")) == 1
        assert len(ask(writer, "select * from ledger.mcp_server_logs(7, 5)")) == 1
        denied(
            writer,
            "update ledger.model_prices set input = 0",
            "delete from ledger.deleted_days",
            "select * from ledger.user_map",
            "select * from ledger.audit_quarantine",
            "select ledger.map_users()",
            "select ledger.refresh_limits()",
            "select * from analytics_build.fct_daily_usage",
            "truncate omni2.audit_logs",
            "alter table omni2.audit_logs add column x text",
            "create table ledger.x (y text)",
            "create table analytics.x (y text)",
        )


def test_the_runner_builds_and_publishes_and_the_reader_reads(
    prepared: Prepared, dsn: Dsn, tmp_path: Path
) -> None:
    """All that a run does in the database, on marts that somebody else built before."""
    request_at(prepared.restore("empty"), "2026-03-01 10:00+00", user_id=9, question="secret words")
    ask(dsn, granting("public"))
    settings = prepared.dbt.settings
    with (
        member(dsn, RUNNER) as runner,
        member(dsn, RUNNER) as another,
        member(dsn, READER) as reader,
    ):
        with connect(runner) as connection:
            revisions.require_head(connection)
            settings.store(connection)
            connection.execute("select ledger.map_users()")
            connection.execute("select ledger.refresh_limits(), ledger.note_limits()")
            loading.load_if_new(connection)
        # A gateway that got another table of limits: its function is made anew, the owner's.
        ask(
            dsn,
            "create table auth_service.user_overrides (user_id integer, custom_cost_limit numeric)",
        )
        ask(runner, "select ledger.refresh_limits()")
        ask(dsn, granting("public"))
        # What one login made, the next builds again.
        for login in (runner, another):
            with recorded(login) as run:
                prepared.dbt(login, "run", "--full-refresh")
                with connect(login, autocommit=True) as connection:
                    let_runners_own(connection, BUILD)
                    verdict = gate.judge(login, run.run_id, tmp_path / "site", tmp_path / "home")
                    assert verdict.passed, verdict.reason()
                    published = publish(connection, run.run_id)
                run.end("published")
        assert published.rows > 0
        denied(
            runner,
            "insert into omni2.audit_logs (question, success) values ('x', true)",
            "delete from omni2.audit_logs",
            "update ledger.user_map set user_id = 1",
            "delete from ledger.merge_runs",
            "delete from ledger.alembic_version",
            "create table ledger.x (y text)",
            "alter table omni2.mcp_servers add column x text",
        )
        for name in (*(mart.name for mart in MARTS), "usage_revisions"):
            ask(reader, f"select * from analytics.{name}")
        assert ask(reader, "select sum(requests) from analytics.fct_daily_usage") == [(1,)]
        assert ask(reader, "select allowed from ledger.check_usage_limit(9)") == [(True,)]
        priced = "select ledger.usage_cost('claude-3-5-haiku', now(), 1000000, 0, 0, 0)::float"
        assert ask(reader, priced) == [(0.8,)]
        denied(
            reader,
            "select question from omni2.audit_logs",
            "select * from audit_logs",
            "select * from ledger.mcp_server_audit(1, null, null, 5)",
            "select * from analytics_build.stg_audit_logs",
            "select * from ledger.user_map",
            "select * from auth_service.users",
            "delete from analytics.fct_daily_usage",
            "insert into ledger.settings values ('as_of', 'now')",
            "select ledger.map_users()",
            "create table analytics.x (y text)",
            "create view analytics.x as select 1",
        )


def test_a_runner_takes_nothing_back_and_has_no_raw_row_removed(dsn: Dsn) -> None:
    """A removal that it noted the owner's next `prune` would carry out."""
    force = (
        "insert into ledger.forced_publications"
        " (run_id, why, overridden, days, rows_published{}) select r, 'so', '[]', '{{}}', 1{}"
        " from gen_random_uuid() as r"
    )
    ask(dsn, "create table ledger.later (x integer)")
    with member(dsn, RUNNER) as runner:
        ask(runner, force.format("", ""))
        assert ask(dsn, "select forced_by from ledger.forced_publications") == [(runner.user,)]
        ask(
            runner,
            "insert into ledger.gate_results (run_id, suite, expectation, severity, passed)"
            " select r, 's', 'e', 'stop', false from gen_random_uuid() as r",
        )
        assert ask(runner, "select count(*) from ledger.later") == [(0,)]
        denied(
            runner,
            force.format(", forced_by", ", 'somebody else'"),
            force.format(", forced_at", ", '2020-01-01'"),
            "delete from ledger.gate_results",
            "update ledger.gate_results set passed = true",
            "insert into ledger.prunings (before_date, before_at, built_xmin)"
            " values ('2030-01-01', '2030-01-01', 9e15)",
            "update ledger.prunings set finished_at = null",
            "delete from ledger.prunings",
            "insert into ledger.pruned_servers values (1, now(), now())",
            "delete from ledger.pruned_servers",
            "insert into ledger.later values (1)",
        )


def test_runners_lose_what_an_earlier_version_gave_them(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    before = import_module("migrations.versions.0035_narrow_runners").down_revision
    revisions.downgrade(dsn, before)
    tables = ("ledger.prunings", "ledger.pruned_servers", "ledger.source_columns")
    ask(dsn, f"grant insert, update, delete on {', '.join(tables)} to {RUNNER}")
    revisions.upgrade(dsn)
    may = "select has_table_privilege(%s, %s, 'insert, update, delete')"
    assert {ask(dsn, may, RUNNER, table)[0] for table in tables} == {(False,)}


def test_the_owner_of_the_tables_reads_what_runs_made(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    with member(dsn, None) as owner:
        grants = f"grant usage on schema omni2, ledger, analytics_build to {owner.user}"
        ask(dsn, f"alter table omni2.audit_logs owner to {owner.user}; {grants}")
        counting = "select count(*) from analytics_build.fct_daily_usage"
        way_out = f"`grant omniledger_runner to {owner.user}`"
        with pytest.raises(NotReadyError, match=way_out), session(owner) as connection:
            connection.execute(counting.encode())
        for _ in range(2):
            ask(dsn, granting("public"))
        assert ask(owner, counting) == [(0,)]
        prepared.dbt(owner, "run", "--select", "dim_users")
        ask(dsn, "alter table omni2.audit_logs owner to current_user")


def test_a_login_without_createrole_upgrades_and_an_administrator_makes_the_roles(
    server: Server,
) -> None:
    text = granting("public").replace("omniledger_", f"it{uuid4().hex[:6]}_")
    theirs = text[text.index("'it") + 1 :].split("_")[0] + "_"
    with member(server.dsn, None) as gateway:
        dsn = server.new()
        ask(dsn, f"alter database {dsn.dbname} owner to {gateway.user}")
        ask(dsn, f"grant create on schema public to {gateway.user}")
        gateway = replace(gateway, dbname=dsn.dbname)
        with connect(gateway) as connection:
            from_files(GATEWAY)(connection)
        revisions.upgrade(gateway)
        try:
            assert notices(gateway, text) == [
                f"The role {theirs}owner is not made, for that takes CREATEROLE; `omniledger roles "
                "sql` prints what an administrator runs."
            ]
            assert notices(dsn, text) == []
            with member(dsn, f"{theirs}owner") as migrator:
                revisions.downgrade(migrator, "0014")
                revisions.upgrade(migrator)
                denied(migrator, "create role somebody")
                ask(dsn, f"reassign owned by {migrator.user} to {gateway.user}")
        finally:
            for role in ROLES:
                name = role.replace("omniledger_", theirs)
                ask(dsn, f"drop owned by {name} cascade; drop role {name}")
            ask(dsn, f"alter database {dsn.dbname} owner to current_user")
            ask(dsn, f"reassign owned by {gateway.user} to current_user")
            ask(dsn, f"drop owned by {gateway.user} cascade")


def test_a_view_of_what_runners_may_not_read_stays_its_makers(prepared: Prepared) -> None:
    """As where the gateway made a table anew since the roles were granted."""
    dsn = prepared.restore("empty").dsn
    ask(dsn, f"revoke all on auth_service.users from {RUNNER}")
    ask(dsn, "drop view analytics_build.stg_users cascade")
    for _ in range(2):
        prepared.dbt(dsn, "run")
        with connect(dsn) as connection:
            let_runners_own(connection, BUILD)
    theirs = (
        "select relname from pg_class where relnamespace = 'analytics_build'::regnamespace"
        f" and relkind in ('r', 'v') and pg_get_userbyid(relowner) <> '{RUNNER}'"
        " order by 1"
    )
    assert ask(dsn, theirs) == [("contract_audit_log",), ("stg_users",)]
    ask(dsn, f"grant select on auth_service.users to {RUNNER}")
    with connect(dsn) as connection:
        let_runners_own(connection, BUILD)
    assert ask(dsn, theirs) == []


def test_a_run_that_lacks_rights_says_who_can_give_them(prepared: Prepared) -> None:
    dsn = prepared.restore("empty").dsn
    ask(dsn, granting("public"))
    with member(dsn, RUNNER) as runner:
        ask(dsn, "alter view analytics_build.stg_settings owner to current_user")
        with pytest.raises(
            NotReadyError, match=r"owner of view stg_settings;.*roles sql` prints gives"
        ):
            modelling.build(runner, prepared.dbt.settings)
        ask(dsn, granting("public"))
        ask(dsn, f"revoke select on ledger.settings from {RUNNER}")
        with pytest.raises(
            NotReadyError, match=r"permission denied.*a member of omniledger_runner"
        ):
            modelling.build(runner, prepared.dbt.settings)


def test_a_way_back_takes_nothing_from_who_owns_it(prepared: Prepared) -> None:
    """Of what runs made, and where the owners' role owns the gateway's tables."""
    marts = prepared.restore("empty")
    dsn = marts.dsn
    some = ("run", "--select", "config.materialized:view", "dim_users")
    ask(dsn, _OWNED.replace("{schemas}", "'omni2', 'auth_service', 'ledger'"))
    with member(dsn, RUNNER) as runner, member(dsn, OWNER) as migrator:
        ask(dsn, f"grant create on database {dsn.dbname} to {OWNER}")
        ask(dsn, f"grant create on schema public to {OWNER}")
        ask(dsn, f"alter role {migrator.user} set role {OWNER}")
        for _ in range(2):
            for login in (dsn, runner):
                prepared.dbt(login, *some)
                with connect(login) as connection:
                    let_runners_own(connection, BUILD)
            revisions.downgrade(migrator, "0014")
            assert ask(migrator, "select count(*) from omni2.audit_logs") == [(0,)]
            revisions.upgrade(migrator)
        # As an earlier version left it.
        ask(
            dsn,
            f"revoke all on all tables in schema analytics_build from {RUNNER};"
            f"revoke all on all tables in schema omni2 from {OWNER};"
            f"revoke all on schema omni2 from {OWNER}",
        )
        ask(dsn, granting("public"))
        prepared.dbt(runner, *some)
        assert ask(migrator, "select count(*) from omni2.audit_logs") == [(0,)]


def test_a_writer_writes_all_the_way_back_and_forth(server: Server) -> None:
    """Who writes through the role alone; what is kept of the old table it may not touch."""
    dsn = server.state("investigation:upgraded")
    insert = "insert into {} ({}, success) values ('q', true)"
    with member(dsn, WRITER) as writer:

        def write() -> None:
            ask(writer, insert.format("audit_logs", "message"))
            ask(writer, insert.format("omni2.audit_logs", "question"))

        write()
        for revision in ("0014", "0009", "0006", "base"):
            revisions.downgrade(dsn, revision)
            write()
        revisions.upgrade(dsn)
        write()
        denied(writer, "select * from ledger.audit_logs_legacy")
    assert ask(
        dsn,
        "select (select count(*) from public.audit_logs where message = 'q'),"
        " (select count(*) from omni2.audit_logs where question = 'q' and legacy_id is null)",
    ) == [(6, 6)]


_OWNED = """
do $$
declare
    change text;
begin
    for change in
        select format('alter schema %I owner to omniledger_owner', s.name)
        from unnest(array[{schemas}]) as s (name)
        union all
        select format(
            'alter %s %s owner to omniledger_owner',
            case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end,
            c.oid::regclass
        )
        from pg_class as c
        where
            c.relnamespace::regnamespace::text in ({schemas}, 'public')
            and c.relkind in ('r', 'v', 'S')
            and not exists (
                select from pg_depend as d
                where
                    d.objid = c.oid
                    and d.classid = 'pg_class'::regclass
                    and d.deptype in ('a', 'i', 'e')
            )
        union all
        select format('alter function %s owner to omniledger_owner', p.oid::regprocedure)
        from pg_proc as p
        where p.pronamespace = 'ledger'::regnamespace
    loop
        execute change;
    end loop;
end
$$
"""
"""Gives the gateway's tables and the ledger to the role of owners."""


def notices(dsn: Dsn, statement: str) -> list[str]:
    said: list[str] = []
    with connect(dsn) as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute(statement.encode())
    return said


def test_a_downgrade_takes_the_rights_and_leaves_the_roles(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    revisions.downgrade(dsn, "0014")
    left = """
        select c.relname from pg_class as c, aclexplode(c.relacl) as a
        where a.grantee in (select oid from pg_roles where rolname like 'omniledger\\_%')
        union all
        select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a
        where a.grantee in (select oid from pg_roles where rolname like 'omniledger\\_%')
        union all
        select 'default' from pg_default_acl as d, aclexplode(d.defaclacl) as a
        where a.grantee in (select oid from pg_roles where rolname like 'omniledger\\_%')
    """
    assert ask(dsn, left) == []
    names = "select rolname from pg_roles where rolname = any(%s) order by 1"
    assert [name for (name,) in ask(dsn, names, list(ROLES))] == sorted(ROLES)
    revisions.upgrade(dsn)
    assert len(ask(dsn, left)) > 20


def test_functions_have_a_pinned_search_path(server: Server) -> None:
    rows = ask(
        server.state("investigation:upgraded"),
        "select proname, prosecdef, coalesce(array_to_string(proconfig, '; '), '') from pg_proc"
        " where pronamespace = 'ledger'::regnamespace",
    )
    pinned = "search_path=pg_catalog, pg_temp"
    assert {name for name, _, config in rows if pinned not in config} == INLINED
    # What writes to tables that the writer of a row has no right on, and nothing else.
    assert {name for name, is_definer, _ in rows if is_definer} == {
        "check_usage_limit",
        "fill_in_audit_log",
        "forget_servers",
        "map_users",
        "note_deleted",
        "note_departed",
        "note_servers",
        "note_tombstone",
        "note_truncated",
        "refresh_limits",
    }
