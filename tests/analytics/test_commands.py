"""Attach, look, detach: as an operator types it, and without telling the password."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from omniledger import revisions
from omniledger.alerts.watching import Looked, look
from omniledger.analytics import attaching
from omniledger.analytics.copying import copy_changes
from omniledger.database import Dsn, session
from omniledger.settings import Settings, get_settings
from tests.conftest import Server, ask, requires
from tests.migrations.operator import Said, omniledger

PASSWORD = "tell-nobody-link-4711"  # noqa: S105


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[Dsn]:
    """A gateway's database, and a login that may read it."""
    dsn = server.state("gateway:upgraded")
    name = f"copier_{dsn.dbname}"
    ask(dsn, f"create role {name} login password '{PASSWORD}'")
    ask(dsn, f"grant omniledger_runner to {name}")
    yield replace(dsn, user=name, password=PASSWORD)
    ask(dsn, f"drop owned by {name}; drop role {name}")


@pytest.fixture(scope="module")
def analytics(elsewhere: Server, source: Dsn) -> Dsn:
    """An analytics server, attached by the command."""
    dsn = elsewhere.new()
    said = attach(dsn, source)
    assert said.code == 0, said.refusal
    return dsn


def attach(dsn: Dsn, source: Dsn, *options: str) -> Said:
    address = replace(source, password="").url()
    return omniledger(
        dsn, "analytics", "attach", address, *options, OMNILEDGER_SOURCE_PASSWORD=source.password
    )


def copy(dsn: Dsn) -> dict[str, int]:
    with session(dsn) as connection:
        return copy_changes(connection, get_settings()).rows


def test_status_says_where_the_source_is_and_how_much_changed(analytics: Dsn, source: Dsn) -> None:
    copy(analytics)
    owner = replace(analytics, dbname="postgres")  # another database says nothing of it
    assert omniledger(owner, "analytics", "status").code == 1
    status = omniledger(analytics, "analytics", "status", "--json")
    assert status.code == 0
    found = status.document()
    assert found["source"] == f"{source.dbname} on {source.host}:{source.port}"
    assert (found["is_readable"], found["is_same_source"], found["rows_behind"]) == (True, True, 0)
    assert "Changed since: 0 rows." in omniledger(analytics, "analytics", "status").output
    assert ", a copy of its source" in omniledger(analytics, "doctor").output


def test_the_password_is_in_no_log_statement_or_output(
    analytics: Dsn, source: Dsn, elsewhere_root: Path
) -> None:
    """Not even where the server logs each statement with its values."""
    login = analytics.user
    ask(analytics, f"alter role {login} set log_statement = 'all'")
    ask(analytics, f"alter role {login} set log_min_duration_statement = 0")
    try:
        said = attach(analytics, source)
        wrong = attach(analytics, replace(source, password=PASSWORD + "-wrong"))
        attach(analytics, source)
    finally:
        ask(analytics, f"alter role {login} reset all")
    told = said.output + wrong.output + wrong.refusal
    assert (said.code, wrong.code) == (0, 3)
    assert "password authentication failed" in wrong.refusal
    log = (elsewhere_root / "server.log").read_text(errors="replace")
    assert "select set_config($1, $2, true)" in log
    seen = ask(analytics, "select coalesce(string_agg(query, ' '), '') from pg_stat_activity")
    for text in (told, log, str(seen)):
        assert PASSWORD not in text


def test_a_server_that_would_log_the_password_is_refused(elsewhere: Server, source: Dsn) -> None:
    """Where this login can't keep it from doing so."""
    dsn = elsewhere.new()
    user = f"attacher-{dsn.dbname}"
    login = f'"{user}"'
    ask(dsn, f"create role {login} login password '{PASSWORD}'")
    ask(dsn, f"alter database {dsn.dbname} owner to {login}")
    ask(dsn, f"alter role {login} set log_statement = 'all'")
    plain = replace(dsn, user=user, password=PASSWORD)
    lacking = attach(plain, source)
    ask(dsn, "create extension postgres_fdw")
    ask(dsn, f"grant usage on foreign data wrapper postgres_fdw to {login}")
    logging = attach(plain, source)
    ask(dsn, f"alter role {login} set log_parameter_max_length = 0")
    try:
        advice = f"grant usage on foreign data wrapper postgres_fdw to {login};"
        assert (lacking.code, advice in lacking.refusal) == (4, True)
        advice = f"alter role {login} set log_parameter_max_length = 0"
        assert (logging.code, advice in logging.refusal) == (4, True)
        assert attach(plain, source).code == 0
        assert set(copy(plain)) == {"audit_logs", "mcp_health_log"}
    finally:
        ask(dsn, f"alter database {dsn.dbname} owner to {dsn.user}")
        ask(dsn, f"drop owned by {login} cascade; drop role {login}")


@pytest.mark.parametrize(
    "setting",
    [
        "log_min_duration_statement = 60000",
        "log_min_duration_sample = 60000",
        "log_transaction_sample_rate = 0.5",
    ],
)
def test_nothing_may_tell_the_password_however_seldom(
    elsewhere: Server, source: Dsn, setting: str
) -> None:
    dsn = elsewhere.new()
    login = f"seldom_{dsn.dbname}"
    ask(dsn, f"create role {login} login password '{PASSWORD}'")
    ask(dsn, f"alter database {dsn.dbname} owner to {login}")
    ask(dsn, f"grant create on schema public to {login}; create extension postgres_fdw")
    ask(dsn, f"grant usage on foreign data wrapper postgres_fdw to {login}")
    ask(dsn, f"alter role {login} set {setting}")
    try:
        refused = attach(replace(dsn, user=login, password=PASSWORD), source)
        assert (refused.code, "set log_parameter_max_length = 0`" in refused.refusal) == (4, True)
    finally:
        ask(dsn, f"alter database {dsn.dbname} owner to {dsn.user}")
        ask(dsn, f"drop owned by {login} cascade; drop role {login}")


def test_a_sampled_transaction_tells_no_password(
    analytics: Dsn, source: Dsn, elsewhere_root: Path
) -> None:
    """It is chosen before anything can be hushed."""
    login = analytics.user
    ask(analytics, f"alter role {login} set log_transaction_sample_rate = 1")
    try:
        assert attach(analytics, source).code == 0
    finally:
        ask(analytics, f"alter role {login} reset all")
    log = (elsewhere_root / "server.log").read_text(errors="replace")
    assert "create server" in log
    assert PASSWORD not in log


def test_a_keys_password_is_refused_before_a_server_hears_of_it(
    analytics: Dsn, source: Dsn, elsewhere_root: Path
) -> None:
    options = (("sslkey", "/k"), ("sslpassword", "tell-nobody-key-4711"))
    before = ask(analytics, "select srvoptions from pg_foreign_server")
    refused = attach(analytics, replace(source, options=options))
    assert (refused.code, "has the option sslpassword" in refused.refusal) == (2, True)
    assert "4711" not in refused.refusal
    assert ask(analytics, "select srvoptions from pg_foreign_server") == before
    assert "tell-nobody-key" not in (elsewhere_root / "server.log").read_text(errors="replace")


def test_a_source_takes_nothing_of_this_servers_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only a password that stands on the command line is said to stand there."""
    given: list[Dsn] = []
    said: list[str] = []

    def attached(dsn: Dsn, source: Dsn, *_: object) -> attaching.Attached:
        given.append(source)
        return attaching.Attached(None, False)

    monkeypatch.setattr(attaching, "attach", attached)
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    here = Dsn("here", 5432, "figures", "me")
    ours = {"PGPASSWORD": "ours", "PGUSER": "ours", "PGPORT": "1", "PGDATABASE": "ours"}
    omniledger(here, "analytics", "attach", "postgresql://copier@there/gateway", **ours)
    secret = {"OMNILEDGER_SOURCE_URL": "postgresql://copier:a%40b@there/gateway"}
    omniledger(here, "analytics", "attach", **ours, **secret)
    assert given == [
        Dsn("there", 5432, "gateway", "copier"),
        Dsn("there", 5432, "gateway", "copier", "a@b"),
    ]
    assert not [text for text in said if "command line" in text]
    omniledger(here, "analytics", "attach", "postgresql://copier:a@there/gateway")
    assert [text for text in said if "command line" in text]
    bad = omniledger(here, "analytics", "attach", "postgresql://there:x/db", **ours)
    assert (bad.code, "The port in SOURCE_URL is no number" in bad.refusal) == (2, True)


def test_another_login_may_run_what_it_needs_and_no_more(analytics: Dsn, source: Dsn) -> None:
    name = f"judge_{analytics.dbname}"
    ask(analytics, f"create role {name} login password '{PASSWORD}' in role omniledger_runner")
    try:
        assert attach(analytics, source, "--run-as", name).code == 0
        assert set(copy(replace(analytics, user=name, password=PASSWORD))) == {
            "audit_logs",
            "mcp_health_log",
        }
    finally:
        ask(analytics, f"drop owned by {name} cascade; drop role {name}")


def test_a_database_with_a_ledger_of_its_own_is_left_alone(server: Server, source: Dsn) -> None:
    dsn = server.state("investigation")
    requires(dsn, 14)
    before = ask(dsn, "select count(*) from public.audit_logs")
    refused = attach(dsn, source)
    assert (refused.code, "has rows of its own in public.audit_logs" in refused.refusal) == (
        4,
        True,
    )
    assert ask(dsn, "select count(*) from public.audit_logs") == before
    assert ask(dsn, "select to_regnamespace('ledger') is null") == [(True,)]


@pytest.mark.parametrize("table", ["auth_service.users", "auth_service.roles", "omni2.mcp_servers"])
def test_a_gateway_that_logged_nothing_yet_is_left_alone_too(
    elsewhere: Server, source: Dsn, table: str
) -> None:
    dsn = elsewhere.state("empty:upgraded")
    others = "email, username, " if table.endswith("users") else ""
    values = "'a@example.org', 'a', " if others else ""
    ask(dsn, f"insert into {table} ({others}name) values ({values}'first')")
    refused = attach(dsn, source)
    assert (refused.code, f"has rows of its own in {table}" in refused.refusal) == (4, True)
    assert ask(dsn, f"select name from {table}") == [("first",)]


def test_a_database_is_no_source_of_itself(server: Server, source: Dsn) -> None:
    dsn = server.state("empty:upgraded")
    requires(dsn, 14)
    refused = attach(dsn, dsn)
    assert (refused.code, "The source is this database itself" in refused.refusal) == (4, True)
    assert ask(dsn, "select count(*) from pg_foreign_server") == [(0,)]


@pytest.mark.parametrize(
    "command",
    [
        ("models", "set", "claude-sonnet-4-5"),
        ("prices", "update"),
        ("prices", "set", "claude-sonnet-4-5", "--input", "1", "--output", "2"),
        ("users", "list"),
        ("merge", "run"),
        ("merge", "verify"),
        ("merge", "retry-quarantine"),
        ("inspect",),
        ("analytics", "upkeep"),
    ],
    ids=" ".join,
)
def test_what_belongs_at_the_source_is_refused_on_the_copy(
    analytics: Dsn, command: tuple[str, ...]
) -> None:
    refused = omniledger(analytics, *command)
    assert (refused.code, "is a copy of its source's" in refused.refusal) == (4, True)


def test_a_watch_there_tells_nothing_that_only_the_gateway_knows(analytics: Dsn) -> None:
    """Its tables are plain, and their newest rows as old as the last run."""
    ask(
        analytics,
        "insert into ledger.alerts (kind, subject, sentence, told_at)"
        " values ('silence', '7', 'nobody checks it', now())",
    )
    with session(analytics) as connection:
        assert look(connection, Settings()) == Looked(0, 0, 1)
    over = "select kind from ledger.alerts where resolved_at is not null"
    assert ask(analytics, over) == [("silence",)]


@pytest.mark.parametrize(
    ("revision", "way_out"),
    [
        ("0001", "run `alembic upgrade head` on both servers"),
        ("9999", "install the omniledger that upgraded it"),
    ],
)
def test_a_source_at_another_revision_says_who_is_behind(
    analytics: Dsn, source: Dsn, server: Server, revision: str, way_out: str
) -> None:
    owner = replace(server.dsn, dbname=source.dbname)
    at = "update ledger.alembic_version set version_num = %s"
    try:
        ask(owner, at, revision)
        refused = attach(analytics, source)
        status = omniledger(analytics, "analytics", "status")
    finally:
        ask(owner, at, revisions.head())
    assert (refused.code, status.code) == (4, 1)
    assert way_out in refused.refusal and way_out in status.output


def test_upkeep_does_at_the_source_what_runs_would(source: Dsn, server: Server) -> None:
    owner = replace(server.dsn, dbname=source.dbname)
    ask(owner, "delete from ledger.limit_history")
    said = omniledger(owner, "analytics", "upkeep")
    assert said.code == 0 and "limits noted" in said.output
    assert ask(owner, "select count(*) > 0 from ledger.limit_history") == [(True,)]
    assert ask(owner, "select count(*) > 1 from ledger.model_prices") == [(True,)]


@pytest.mark.slow
def test_a_run_copies_builds_judges_and_publishes_there(
    analytics: Dsn, source: Dsn, server: Server, tmp_path: Path
) -> None:
    attach(analytics, source)
    copy(analytics)
    ask(
        replace(server.dsn, dbname=source.dbname),
        "insert into omni2.audit_logs"
        " (timestamp, question, success, tokens_input, tokens_output, llm_model)"
        " select now() - n * interval '1 minute', '?', true, 100, 10, 'claude-3-5-haiku'"
        " from generate_series(1, 20) as n",
    )
    done = subprocess.run(
        [sys.executable, "-m", "omniledger", "run"],
        env={
            **os.environ,
            "DATABASE_URL": analytics.url(),
            "OMNILEDGER_HOME": str(tmp_path / "home"),
            "OMNILEDGER_SITE_DIR": str(tmp_path / "site"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "source copied: 20 rows of audit_logs taken over" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    totals = "select sum(requests), sum(tokens_input) from analytics.fct_daily_usage"
    assert ask(analytics, totals) == [(20, 2000)]
    steps = "select step from ledger.run_steps where part = '' order by started_at limit 2"
    assert ask(analytics, steps) == [("source copied",), ("models built",)]
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.slow
def test_a_detached_server_keeps_the_copy_and_no_password(
    analytics: Dsn, source: Dsn, tmp_path: Path
) -> None:
    attach(analytics, source)
    copy(analytics)
    assert omniledger(analytics, "analytics", "detach").code == 0
    assert ask(analytics, "select count(*) from pg_user_mappings") == [(0,)]
    assert ask(analytics, "select count(*) > 0 from ledger.ingests") == [(True,)]
    assert omniledger(analytics, "analytics", "detach").code == 4
    assert omniledger(analytics, "analytics", "status").output.startswith("Detached from its")
    assert ", a copy whose source was detached" in omniledger(analytics, "doctor").output
    for command in ("inspect", "run"):
        refused = omniledger(
            analytics,
            command,
            OMNILEDGER_HOME=str(tmp_path / "home"),
            OMNILEDGER_SITE_DIR=str(tmp_path / "site"),
        )
        assert (refused.code, "whose source was detached" in refused.refusal) == (4, True)
    # A copy is no rows of its own.
    rows = ask(analytics, "select count(*) from omni2.audit_logs")
    assert attach(analytics, source).code == 0
    assert ask(analytics, "select count(*) from omni2.audit_logs") == rows
