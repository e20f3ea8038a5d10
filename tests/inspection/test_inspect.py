"""What the inspection says of real databases: before the upgrade, half way, after, and damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from omniledger import inspection, revisions
from omniledger.database import Dsn, connect
from omniledger.inspection import looking
from omniledger.inspection.looking import COUNTED_UP_TO, Look
from omniledger.inspection.questions import QUESTIONS
from omniledger.inspection.questions import ask as ask_all
from omniledger.roles import RUNNER
from omniledger.runs import recorded
from omniledger.settings import Settings
from tests.conftest import STATES, Server, ask, version
from tests.migrations.operator import Said, omniledger, put_off
from tests.models.test_roles import member

SCHEMA = json.loads((Path(inspection.__file__).parent / "schema.json").read_text())
PASSWORD = "tell-nobody-4711"  # noqa: S105 (of a role that lives for one test)

UPGRADED = "investigation:upgraded"
TODAY = "insert into public.audit_logs (user_id, message, cost_estimate, success)"


def findings(dsn: Dsn, *options: str) -> dict[str, dict[str, Any]]:
    """The findings by their question, out of a document that its schema holds."""
    said = omniledger(dsn, "inspect", "--json", *options)
    document = said.document()
    jsonschema.validate(
        document, SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    assert said.code == document["exit_code"]
    assert list(QUESTIONS) == [finding["question"] for finding in document["findings"]]
    return {finding["question"]: finding for finding in document["findings"]}


def found(dsn: Dsn, question: str, *options: str) -> tuple[str, str]:
    """State and evidence of one question."""
    finding = findings(dsn, *options)[question]
    return finding["state"], finding["evidence"]


@pytest.fixture
def reader(server: Server) -> Iterator[Any]:
    """Makes a role on a database that may read everything, or nothing, and takes it away again."""
    made: list[tuple[Dsn, str]] = []

    def make(dsn: Dsn, *, may_read: bool) -> Dsn:
        role = f"reader_{dsn.dbname}"
        ask(dsn, f"create role {role} login password '{PASSWORD}'")
        made.append((dsn, role))
        schemas = ask(dsn, "select nspname from pg_namespace where nspname !~ '^(pg_|information)'")
        for (schema,) in schemas if may_read else ():
            ask(dsn, f"grant usage on schema {schema} to {role}")
            ask(dsn, f"grant select on all tables in schema {schema} to {role}")
            ask(dsn, f"grant select on all sequences in schema {schema} to {role}")
        return replace(dsn, user=role, password=PASSWORD)

    yield make
    for dsn, role in made:
        ask(dsn, f"drop owned by {role}; drop role {role}")


def test_what_fires_for_each_old_row_is_told_before_the_upgrade(server: Server) -> None:
    """As where each row goes out to a screen; nothing takes that back."""
    dsn = server.state("investigation")
    ask(
        dsn,
        "create table public.told (id integer);"
        " create function public.tell() returns trigger language plpgsql as"
        " 'begin insert into public.told values (new.id); return null; end';"
        " create trigger tell after insert on omni2.audit_logs for each row"
        " execute function public.tell()",
    )
    question = "What is left to upgrade?"
    meaning = findings(dsn)[question]["meaning"]
    assert "Own triggers of omni2.audit_logs (tell) fire for each old row too" in meaning
    ask(dsn, "alter table omni2.audit_logs disable trigger tell")
    assert "fire for each old row" not in findings(dsn)[question]["meaning"]
    revisions.upgrade(dsn)
    ask(
        dsn,
        "drop trigger tell on omni2.audit_logs;"
        " create trigger tell after insert on omni2.audit_logs for each row"
        " when (new.legacy_id is null) execute function public.tell();"
        " insert into public.audit_logs (message) values ('old name');"
        " insert into omni2.audit_logs (question, success) values ('gateway', true)",
    )
    newest = "select max(id) from omni2.audit_logs where legacy_id is null"
    assert ask(dsn, "select id from public.told") == ask(dsn, newest)
    assert found(dsn, "Was anything changed by hand?")[0] == "in order"


def test_a_database_without_a_gateway_is_drift(each_server: Server) -> None:
    seen = findings(each_server.state("empty"))
    assert {one["state"] for one in seen.values()} == {"drift", "in order"}
    assert seen["What is in omni2.audit_logs?"]["evidence"] == "there is no such table"


def test_the_investigations_questions_are_answered_before_the_upgrade(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    seen = findings(dsn)
    told = {question: one["evidence"] for question, one in seen.items()}
    assert told["Is the schema upgraded?"] == f"at no revision; the newest is {revisions.head()}"
    assert "6 rows, the last of 2026-02-10 11:00" in told["What is in omni2.audit_logs?"]
    assert '"public"."audit_logs" is a second one: 11 rows' in told["Is there one audit log?"]
    assert told["Does the quota check work?"] == 'it fails: column "cost_usd" does not exist'
    assert "the recent requests and their cost" in told["Do the gateway's other queries work?"]
    assert told["Is a request logged twice?"].startswith("2 of the newest 11 old rows")
    assert (
        "nobody@example.com (3), twin@example.com (4)" in told["Is everybody known to the gateway?"]
    )
    assert "1 row of the old log below zero" in told["Do the sums add up?"]
    assert "11 old rows to merge" in told["What is left to upgrade?"]
    assert "Nothing is in its way" in seen["What is left to upgrade?"]["meaning"]
    assert told["Was anything changed by hand?"] == "nothing"
    assert "2 of 2 servers are silent" in told["Are health checks running?"]
    checks = {f["name"]: f["value"] for f in seen["Are health checks running?"]["figures"]}
    last = datetime(2026, 2, 10, 10, 10, tzinfo=UTC).isoformat()
    assert checks["checks of files"] == f"silent, last noted {last}, due every 300 s"
    assert checks["checks of search"] == "never checked, last noted never, due every 300 s"
    assert "cannot tell" not in {one["state"] for one in seen.values()}


def test_servers_of_one_name_or_of_none_are_told_apart(server: Server) -> None:
    dsn = server.state(UPGRADED)
    ask(
        dsn,
        "alter table omni2.mcp_servers drop constraint mcp_servers_name_key;"
        "insert into omni2.mcp_servers (id, name) values (7, 'files'), (8, ' '), (9, '')",
    )
    seen = findings(dsn)["Are health checks running?"]
    assert {f["name"] for f in seen["figures"] if f["name"].startswith("checks of")} == {
        "checks of files (1)",
        "checks of files (7)",
        "checks of search",
        "checks of server 8",
        "checks of server 9",
    }
    assert "files (7) (never)" in seen["evidence"]


def test_after_the_upgrade_what_was_wrong_is_in_order(each_server: Server) -> None:
    seen = findings(each_server.state(UPGRADED))
    wrong = {question for question, one in seen.items() if one["state"] != "in order"}
    assert wrong == {"Do the sums add up?", "Are health checks running?", "Are figures published?"}
    assert "7 by legacy, 6 by gateway" in seen["Who writes the logs?"]["evidence"]


def test_old_rows_that_should_have_gone_are_told_with_the_way_out(server: Server) -> None:
    def removed(dsn: Dsn, **settings: str) -> dict[str, Any]:
        said = omniledger(dsn, "inspect", "--json", **settings).document()["findings"]
        [one] = [one for one in said if one["question"] == "Are old raw rows removed?"]
        return dict(one)

    upgraded, keep = server.state(UPGRADED), {"OMNILEDGER_RAW_KEEP_DAYS": "30"}
    assert removed(upgraded)["evidence"] == "they stay for ever"
    told = removed(upgraded, **keep)
    assert (told["state"], told["evidence"]) == (
        "drift",
        "those from 2026-02-10 on are still there",
    )
    assert "`omniledger prune` removes them, or says" in told["advice"]
    years = {"OMNILEDGER_RAW_KEEP_DAYS": "36500"}
    assert removed(upgraded, **years)["evidence"] == "they stay for 36500 days"
    before = removed(server.state("investigation"), **keep)
    assert (before["state"], "before the upgrade" in before["evidence"]) == ("in order", True)


@pytest.mark.parametrize(
    "state", sorted({file.stem for file in STATES.glob("*.sql")} - {"published_whole"})
)
def test_every_starting_state_gets_every_answer(server: Server, state: str) -> None:
    schema = "chat" if state == "other_schema" else "public"
    said = omniledger(server.state(state), "inspect", "--json", OMNILEDGER_LEGACY_SCHEMA=schema)
    assert said.code == 1
    assert "cannot tell" not in {one["state"] for one in said.document()["findings"]}


def test_another_schema_than_the_merged_one_is_told_to_be_wrong(server: Server) -> None:
    wrong = {"OMNILEDGER_LEGACY_SCHEMA": "chat"}
    said = omniledger(server.state(UPGRADED), "inspect", "--json", **wrong).document()["findings"]
    [one] = [one for one in said if one["question"] == "Is there one audit log?"]
    assert one["state"] == "drift"
    assert one["advice"].startswith("Set OMNILEDGER_LEGACY_SCHEMA to public")


@pytest.mark.parametrize("revision", ["0003", "0006", "0011"])
def test_half_way_is_told(server: Server, revision: str) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, revision, "merge=later")
    seen = findings(dsn)
    assert "cannot tell" not in {one["state"] for one in seen.values()}
    assert f"at revision {revision}" in seen["Is the schema upgraded?"]["evidence"]
    assert "11 old rows to merge" in seen["What is left to upgrade?"]["evidence"]
    is_ready = revision >= revisions.MERGED_AT
    assert seen["Is there one audit log?"]["advice"] == (
        "Run `omniledger merge run`." if is_ready else "Run `alembic upgrade head`."
    )
    assert seen["Was anything changed by hand?"]["evidence"] == "nothing"


@pytest.mark.parametrize("state", ["investigation", UPGRADED])
def test_who_may_only_read_gets_every_answer(server: Server, reader: Any, state: str) -> None:
    dsn = server.state(state)
    assert answers(reader(dsn, may_read=True)) == answers(dsn)


def test_a_runner_gets_every_answer(server: Server) -> None:
    dsn = server.state(UPGRADED)
    with member(dsn, RUNNER) as runner:
        assert answers(runner) == answers(dsn)


def answers(dsn: Dsn) -> dict[str, dict[str, Any]]:
    """The findings without what is of the login alone: who may write, who is connected."""
    seen = findings(dsn)
    seen["Who writes the logs?"].update(evidence="", figures=[])
    return seen


def test_what_the_rights_do_not_show_is_named_and_never_in_order(
    server: Server, reader: Any
) -> None:
    dsn = server.state(UPGRADED)
    blind = reader(dsn, may_read=False)
    said = omniledger(blind, "inspect", "--json").document()
    assert said["exit_code"] == 2
    assert "Is every old row accounted for?" in said["lacking_rights"]
    for one in said["findings"]:
        assert one["lacks_rights"] == (one["state"] == "cannot tell")
        if one["state"] == "in order":
            # What the catalog, or a setting, tells to everybody.
            assert one["question"] in (
                "Is there one audit log?",
                "Is a request logged twice?",
                "Are old raw rows removed?",
                "Who writes the logs?",
            )
    shown = omniledger(blind, "inspect")
    assert shown.code == 2
    assert "permission denied" in shown.output
    assert "Not answered for want of rights: Is the schema upgraded?" in shown.output


def test_it_can_not_write(server: Server) -> None:
    dsn = server.state(UPGRADED)
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, question, success) values (2, 'q', true);"
        "create or replace function ledger.check_usage_limit(user_id bigint,"
        " cost_limit numeric default null) returns ledger.usage_limit language plpgsql as"
        " $$ begin delete from omni2.audit_logs; return null; end $$",
    )
    state, evidence = found(dsn, "Who has used up the day's limit?")
    assert (state, evidence) == (
        "cannot tell", "cannot execute DELETE in a read-only transaction",
    )  # fmt: skip


def test_large_tables_are_estimated_without_reading_them_and_counted_when_asked(
    server: Server,
) -> None:
    dsn = server.state("gateway")
    rows = COUNTED_UP_TO * 2
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success)"
        " select n % 5, timestamptz '2026-01-01' + n * interval '1 second', 'q', true"
        f" from generate_series(1, {rows}) as n",
    )
    ask(dsn, "analyze omni2.audit_logs")
    scans = "select seq_scan from pg_stat_user_tables where relid = 'omni2.audit_logs'::regclass"
    with connect(dsn, autocommit=True) as connection:
        before = connection.execute(scans).fetchone()
        [ledger] = [
            one
            for one in ask_all(Look(connection, Settings()))
            if one.question == "What is in omni2.audit_logs?"
        ]
        if version(dsn) >= 15:
            connection.execute("select pg_stat_force_next_flush()")
        assert connection.execute(scans).fetchone() == before
    assert ledger.evidence.startswith("about ")
    assert not ledger.figures[0].is_exact
    assert "Estimates: " in omniledger(dsn, "inspect").output
    _, exact = found(dsn, "What is in omni2.audit_logs?", "--exact")
    assert exact.startswith(f"{rows:,} rows, the last of 2026-01-03 07:33")


def test_what_would_take_long_is_not_told_unless_it_is_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "DEAREST_PLAN", 0)
    dsn = server.state("investigation")
    seen = findings(dsn)["Is a request logged twice?"]
    assert seen["state"] == "cannot tell"
    assert "--exact" in seen["advice"]
    assert found(dsn, "Is a request logged twice?", "--exact")[1].startswith("2 of the 11 old rows")


def test_a_lock_against_readers_is_told_with_its_holder_and_no_size(server: Server) -> None:
    dsn = server.state(UPGRADED)
    with connect(dsn, application_name="a long alter") as holder:
        holder.execute("lock table omni2.mcp_health_log in access exclusive mode")
        seen = findings(dsn)["Are health checks running?"]
    assert seen["state"] == "cannot tell"
    assert seen["evidence"].startswith("locked: omni2.mcp_health_log by a long alter (pid ")


def test_what_stops_the_upgrade_is_said_before(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, "create materialized view public.daily as select count(*) from public.audit_logs")
    finding = findings(dsn)["What is left to upgrade?"]
    assert "the materialized view daily reads it" in finding["meaning"].replace("public.", "")


def test_a_view_of_something_else_is_not_taken_for_the_ledger(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs rename to elsewhere;"
        "create view public.audit_logs as select * from public.elsewhere",
    )
    seen = findings(dsn)
    assert seen["Is there one audit log?"]["state"] == "drift"
    assert "not of the ledger" in seen["Is there one audit log?"]["evidence"]
    assert "a view that the upgrade did not make" in seen["What is left to upgrade?"]["meaning"]


def test_columns_triggers_and_types_made_by_hand_are_named(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table omni2.audit_logs add column cost_usd double precision, add column note text,"
        " alter column error_id type text, drop column block_reason;"
        "create function public.nothing() returns trigger language plpgsql as"
        " $$ begin return new; end $$;"
        "create trigger by_hand after insert on omni2.audit_logs"
        " for each row execute function public.nothing();"
        "create trigger by_hand before insert on omni2.mcp_health_log"
        " for each row execute function public.nothing()",
    )
    seen = findings(dsn)
    told = seen["Was anything changed by hand?"]
    assert told["state"] == "drift"
    for said in (
        "omni2.audit_logs.cost_usd (double precision) was made by hand",
        "omni2.audit_logs.note (text) was made by hand",
        "omni2.audit_logs.error_id is text, and was made as character varying(50)",
        "omni2.audit_logs has no column block_reason",
        "the trigger by_hand of omni2.audit_logs is not of the upgrade",
        "the trigger by_hand of omni2.mcp_health_log is not of the upgrade",
    ):
        assert said in told["evidence"]
    assert (
        "it converts cost_usd from double precision" in seen["What is left to upgrade?"]["evidence"]
    )
    revisions.upgrade(dsn)
    _, after = found(dsn, "Was anything changed by hand?")
    assert "cost_usd" not in after
    assert "omni2.audit_logs.note (text) was made by hand" in after


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("drop index omni2.idx_omni2_audit_logs_user_id", "audit_logs_user_id is missing"),
        ("alter table omni2.audit_logs disable trigger omniledger_stamp_change", "is missing or"),
        (
            "alter table omni2.mcp_health_log disable trigger omniledger_stamp_change",
            "the trigger omniledger_stamp_change of omni2.mcp_health_log is disabled",
        ),
        (
            "drop index omni2.omniledger_mcp_health_log_server",
            "The index omni2.omniledger_mcp_health_log_server is missing since the last upgrade",
        ),
        (
            "revoke insert on omni2.audit_logs from omniledger_writer",
            "omniledger_writer lacks the right to insert omni2.audit_logs",
        ),
        (
            "revoke delete on public.audit_logs from omniledger_writer",
            'omniledger_writer lacks the right to delete "public"."audit_logs"',
        ),
        (
            "grant delete on ledger.forced_publications to public",
            "everybody may delete ledger.forced_publications",
        ),
        ("alter table ledger.runs add column extra text", "column extra of ledger.runs is not of"),
        ("alter table ledger.runs drop column reason", "column reason of ledger.runs is missing"),
        ("drop table ledger.alerts", "the table alerts is missing"),
        ("alter table ledger.runs alter reason type varchar(9)", "ledger.runs.reason has another"),
        ("drop index ledger.gate_results_run_id_idx", "gate_results_run_id_idx of ledger.gate_"),
    ],
)
def test_damage_to_what_the_migrations_made_is_named(
    server: Server, damage: str, said: str
) -> None:
    dsn = server.state(UPGRADED)
    ask(dsn, damage)
    state, evidence = found(dsn, "Was anything changed by hand?")
    assert state == "drift"
    assert said in evidence


def test_damage_is_named_before_the_merge_too(server: Server) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    assert found(dsn, "Was anything changed by hand?") == ("in order", "nothing")
    ask(
        dsn,
        "alter table omni2.audit_logs disable trigger omniledger_stamp_change;"
        "drop index omni2.omniledger_mcp_health_log_changes",
    )
    state, evidence = found(dsn, "Was anything changed by hand?")
    assert state == "drift"
    assert "the trigger omniledger_stamp_change of omni2.audit_logs is disabled" in evidence
    assert "index omni2.omniledger_mcp_health_log_changes is missing" in evidence


def test_who_would_be_stopped_today_is_told_before_the_check_works(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, f"{TODAY} values (1, 'q', 7, true), (1, 'r', 3, true), (2, 's', 9.99, true)")
    ask(dsn, f"{TODAY} values (2, 'failed', 5, false), (2, 'no cost', 'NaN', true)")
    state, evidence = found(dsn, "Who has used up the day's limit?")
    assert (state, evidence) == ("drift", "1 user: Ada@Example.com ($10.00 of $10.00)")
    revisions.upgrade(dsn)
    assert found(dsn, "Who has used up the day's limit?") == ("in order", evidence)


def test_between_the_merge_and_the_check_nobody_can_tell_who_is_over(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, f"{TODAY} values (1, 'q', 7, true), (1, 'r', 3, true)")
    revisions.upgrade(dsn, "0008")
    state, evidence = found(dsn, "Who has used up the day's limit?")
    assert state == "cannot tell"
    assert "the upgrade is half way" in evidence


def test_half_way_both_logs_count_and_what_is_copied_counts_once(server: Server) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    ask(dsn, f"{TODAY} values (1, 'q', 6, true)")
    ask(
        dsn,
        "insert into omni2.audit_logs (legacy_id, legacy_user_id, user_id, question, cost_usd,"
        " success, source_system) select id, user_id, 2, message, cost_estimate, success, 'legacy'"
        " from public.audit_logs where message = 'q'",
    )
    own = (
        "insert into omni2.audit_logs (user_id, question, cost_usd, success)"
        " values (2, 'r', {}, true)"
    )
    ask(dsn, own.format(3.99))
    question = "Who has used up the day's limit?"
    assert found(dsn, question) == ("in order", "nobody, by the costs that are recorded of today")
    ask(dsn, own.format(0.01))
    assert found(dsn, question) == ("drift", "1 user: Ada@Example.com ($10.00 of $10.00)")


def test_the_whole_of_a_day_counts_on_which_clocks_go_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    monkeypatch.setenv("OMNILEDGER_REPORTING_TIMEZONE", "America/Havana")
    ask(dsn, "insert into ledger.settings values ('as_of', '2025-11-03 04:59:59+00')")
    # 1 November ends, and 2 November is all of both its midnights and its 25 hours.
    for at, usd in (("02 03:59:59", 90), ("02 04:30", 6), ("03 04:59:59", 4), ("03 05:00", 90)):
        ask(
            dsn,
            "insert into omni2.audit_logs (timestamp, user_id, question, cost_usd, success)"
            " values (%s, 2, 'q', %s, true)",
            f"2025-11-{at}+00",
            usd,
        )
    state, evidence = found(dsn, "Who has used up the day's limit?")
    assert (state, evidence) == ("drift", "1 user: Ada@Example.com ($10.00 of $10.00)")


def test_users_that_nobody_knew_of_at_the_merge_are_a_finding(server: Server) -> None:
    dsn = server.state(UPGRADED)
    question = "Is everybody known to the gateway?"
    assert found(dsn, question)[0] == "in order"
    ask(
        dsn,
        "insert into public.users (id, email) values (77, 'new@example.org');"
        "insert into public.audit_logs (user_id, message) values (77, 'q')",
    )
    state, evidence = found(dsn, question)
    assert state == "drift"
    assert evidence.startswith("3 users under the old name are nobody at the gateway (old id ")


def test_who_follows_its_advice_on_unknown_people_counts_no_request_twice(server: Server) -> None:
    question = "Is everybody known to the gateway?"
    advice = findings(server.state("investigation"))[question]["advice"]
    assert advice.split("`")[1::2] == [
        "alembic -x merge=later upgrade head",
        "omniledger users map",
        "omniledger merge run",
    ]
    dsn = put_off(server)
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success)"
        " values (4, '2026-02-10 12:04:01+00', 'one of two twins', true)",
    )
    assert omniledger(dsn, "users", "map", "4", "4").code == 0
    assert omniledger(dsn, "merge", "run").code == 0
    assert ask(
        dsn,
        "select source_system, llm_tokens_used from omni2.audit_logs"
        " where question = 'one of two twins'",
    ) == [("gateway", 88)]


def test_a_writer_at_work_is_named_with_its_application(server: Server) -> None:
    dsn = server.state("investigation")
    with connect(dsn, application_name="the chat writer") as writing:
        writing.execute(b"insert into public.audit_logs (message) values ('q')")
        _, evidence = found(dsn, "Who writes the logs?")
    assert f"writing now: {dsn.user} with the chat writer" in evidence


def test_inserts_are_counted_while_it_watches(server: Server) -> None:
    dsn = server.state("investigation")
    with connect(dsn, autocommit=True) as connection:
        look = Look(connection, Settings(), watch_seconds=0.2)
        findings_of = {one.question: one for one in ask_all(look)}
    assert "public.audit_logs: 0 new rows" in findings_of["Who writes the logs?"].evidence
    assert findings_of["Who writes the logs?"].figures[0].value >= 0.2  # type: ignore[operator]


def test_queries_that_fail_are_named_with_the_reason(server: Server) -> None:
    dsn = server.state(UPGRADED)
    ask(dsn, "alter table omni2.mcp_health_log rename column meta_data to metadata")
    ask(dsn, "drop view public.audit_logs")
    state, evidence = found(dsn, "Do the gateway's other queries work?")
    assert state == "drift"
    assert 'the health log of a server: column "meta_data" does not exist' in evidence
    assert 'what the chat writer writes: relation "audit_logs" does not exist' in evidence


def test_where_there_is_one_log_no_merge_mends_a_query_that_fails(server: Server) -> None:
    seen = findings(server.state("empty:upgraded"))["Do the gateway's other queries work?"]
    assert 'relation "users" does not exist' in seen["evidence"]
    assert seen["advice"] == "Make what it names, unless nothing asks or writes that here."


def test_a_table_shows_what_is_wrong_what_it_means_and_what_to_do(server: Server) -> None:
    said: Said = omniledger(server.state("investigation"), "inspect")
    assert said.code == 1
    lines = [line.strip() for line in said.output.splitlines()]
    at = next(n for n, line in enumerate(lines) if "Does the quota check work?" in line)
    assert lines[at].startswith("drift")
    assert lines[at + 1].startswith("means: ")
    assert lines[at + 2] == "do: Run `alembic upgrade head`."


@pytest.mark.parametrize(
    "at", ["infinity", "-infinity", "0044-03-15 10:00+00 BC", "10000-01-01 00:00+00"]
)
def test_times_that_are_none_of_the_calendar_are_counted_and_hide_nothing(
    server: Server, at: str
) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, question, success) values (%s, 'q', true)",
        at,
    )
    ask(dsn, "insert into public.audit_logs (created_at, message) values (%s, 'q')", at)
    seen = findings(dsn)
    assert "cannot tell" not in {one["state"] for one in seen.values()}
    beyond = "1 of them with a time that is infinite, BC or after the year 9999"
    for question, last in (
        ("What is in omni2.audit_logs?", "7 rows, the last of 2026-02-10 11:00 UTC"),
        ("Is there one audit log?", "12 rows, the last of 2026-02-10 12:05 UTC"),
    ):
        assert f"{last}; {beyond}" in seen[question]["evidence"]
    revisions.upgrade(dsn)
    seen = findings(dsn)
    assert "cannot tell" not in {one["state"] for one in seen.values()}


def test_a_log_of_no_time_but_impossible_ones_has_no_last_row(server: Server) -> None:
    dsn = server.state("gateway")
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, question, success)"
        " values ('infinity', 'q', true), ('0001-01-01 00:00+00 BC', 'q', true)",
    )
    finding = findings(dsn)["What is in omni2.audit_logs?"]
    assert finding["evidence"].startswith("2 rows; 2 of them with a time that is infinite")
    figures = {figure["name"]: figure["value"] for figure in finding["figures"]}
    assert (figures["first row"], figures["last row"]) == (None, None)
    assert figures["rows dated beyond the calendar"] == 2


def test_a_revision_that_is_lost_is_told_and_the_rest_answered_as_before(server: Server) -> None:
    dsn = server.state(UPGRADED)
    before = findings(dsn)
    ask(dsn, "delete from ledger.alembic_version")
    after = findings(dsn)
    upgraded, left = "Is the schema upgraded?", "What is left to upgrade?"
    assert "ledger.alembic_version has no row" in after[upgraded]["evidence"]
    assert "the revision is lost" in after[left]["evidence"]
    for question in (upgraded, left):
        assert "`alembic stamp REVISION`" in after[question]["advice"]
    writers = "Who writes the logs?"
    assert {q: one for q, one in after.items() if q not in (upgraded, left, writers)} == {
        q: one for q, one in before.items() if q not in (upgraded, left, writers)
    }


def test_what_was_published_is_in_order_for_two_days(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    ask(
        dsn,
        "insert into ledger.runs (run_id, verdict, started_at, finished_at) values"
        " (gen_random_uuid(), 'published', now() - interval '3 days', now() - interval '47 hours')",
    )
    assert found(dsn, "Are figures published?")[0] == "in order"
    ask(dsn, "update ledger.runs set finished_at = now() - interval '49 hours'")
    state, evidence = found(dsn, "Are figures published?")
    assert (state, "and no figures since" in evidence) == ("drift", True)
    # What was published by force is, though the run that built it is older.
    force = (
        "insert into ledger.forced_publications (run_id, why, overridden, days, rows_published)"
        " select run_id, 'so', '[]', '{}', 1 from ledger.runs"
    )
    ask(dsn, force)
    assert found(dsn, "Are figures published?")[0] == "in order"


def test_a_run_at_work_hides_not_how_the_last_one_ended(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    with recorded(dsn) as run:
        assert found(dsn, "Are figures published?") == ("drift", "the first run is at work")
        run.end("published")
    with recorded(dsn):
        state, evidence = found(dsn, "Are figures published?")
        assert (state, evidence.endswith("was published")) == ("in order", True)


def test_a_killed_run_is_drift(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    ask(dsn, "insert into ledger.runs (run_id) values (gen_random_uuid())")
    state, evidence = found(dsn, "Are figures published?")
    assert (state, "was killed before it ended" in evidence) == ("drift", True)
