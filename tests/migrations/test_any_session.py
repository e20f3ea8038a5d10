"""What a session's own settings must not change: what is noted, computed and read."""

from decimal import Decimal

import pytest

from omniledger import revisions
from omniledger.database import connect
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger
from tests.migrations.test_merge import upgrade_with

REPLICA = "set session_replication_role = replica;"
"""As the worker of a subscription has it, and who loads much at once."""


@pytest.mark.parametrize("step", ["match_history", "copy_history", "apply_changes", "cut_over"])
def test_what_a_replica_writes_during_the_merge_is_brought_over(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    dsn = each_server.state("investigation")
    writes = (
        f"{REPLICA} update public.audit_logs set tokens_input = 11 where id = 102;"
        " insert into public.audit_logs (id, message, created_at) values (112, 'new', now());"
        " delete from public.audit_logs where id = 109;"
        " delete from omni2.audit_logs where id = 1"
    )
    assert upgrade_with(monkeypatch, dsn, step, writes) == [(11, 8, 1, 2, True)]
    assert ask(dsn, "select tokens_input from audit_logs where id = 102") == [(11,)]
    assert ask(dsn, "select message from audit_logs where id in (109, 112)") == [("new",)]


def test_what_a_replica_writes_afterwards_is_filled_in_noted_and_not_lost(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation:upgraded")
    stamps = "select change_xid from omni2.audit_logs where legacy_id = 102"
    before = ask(dsn, stamps)
    ask(dsn, f"{REPLICA} update audit_logs set duration_ms = 5 where id = 102")
    assert ask(dsn, stamps) > before
    ask(dsn, f"{REPLICA} insert into audit_logs (user_id, tokens_input) values (2, 7)")
    assert ask(
        dsn,
        "select user_id, llm_tokens_used from omni2.audit_logs"
        " where legacy_id = (select max(legacy_id) from omni2.audit_logs)",
    ) == [(3, 7)]
    ask(dsn, f"{REPLICA} delete from audit_logs where id = 105")
    assert ask(dsn, "select legacy_id from ledger.audit_tombstones") == [(105,)]
    assert ask(dsn, "select period_start::date::text from ledger.deleted_days") == [("2026-02-10",)]


def test_the_triggers_of_a_database_that_was_upgraded_before_fire_for_replicas_too(
    server: Server,
) -> None:
    dsn = server.state("own_triggers:upgraded")
    fires = (
        "select distinct t.tgname like 'omniledger_carried_%%', t.tgenabled::text"
        " from pg_trigger as t where not t.tgisinternal and t.tgrelid in"
        " ('omni2.audit_logs'::regclass, 'omni2.mcp_health_log'::regclass) order by 1"
    )
    as_always = ask(dsn, fires)
    assert as_always == [(False, "A"), (True, "O")]
    revisions.downgrade(dsn, "0025")
    ask(
        dsn,
        "alter table omni2.audit_logs enable trigger user;"
        " alter table omni2.mcp_health_log enable trigger user",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, fires) == as_always


BACKSLASHES = "set standard_conforming_strings = off; set escape_string_warning = off;"


@pytest.mark.parametrize("how", ["anew", "before", "later"])
def test_a_writer_that_reads_backslashes_writes_the_same(server: Server, how: str) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs alter cost_estimate drop default,"
        " alter cost_estimate type text using cost_estimate::text,"
        r" add words text generated always as (regexp_replace(message, '\s+', '-')) stored",
    )
    revisions.upgrade(dsn, "head", *(["merge=later"] if how == "later" else []))
    if how == "later":
        assert omniledger(dsn, "merge", "run").code == 0
    if how == "before":
        revisions.downgrade(dsn, "0025")
        ask(dsn, "alter function ledger.derive_audit_log() reset standard_conforming_strings")
        revisions.upgrade(dsn)
    costs = []
    for settings in ("", BACKSLASHES):
        ask(
            dsn,
            f"{settings} insert into audit_logs (message, cost_estimate, tokens_input)"
            " values ('a', '0,5', null), ('b', ' 0.5 ', 1), ('c  d', '5', 1)",
        )
        costs.append(
            ask(dsn, "select words, cost_usd from omni2.audit_logs order by id desc limit 3")
        )
    assert costs[0] == costs[1]
    assert costs[0][:2] == [("c-d", Decimal("5")), ("b", Decimal("0.5"))]


def test_a_session_that_reads_backslashes_finds_the_same_models(server: Server) -> None:
    dsn = server.state("gateway:upgraded")
    names = ["us.anthropic.claude-sonnet-4.5-20250929-v1:0", "openai/gpt-4o-2024-08-06", "eurollm"]
    forms = (
        "select ledger.bare_model_name(n), ledger.normal_model_name(n), ledger.canonical_model(n)"
        " from unnest(%s::text[]) as n"
    )
    ask(
        dsn,
        "insert into ledger.model_names (name, model, source)"
        " values ('claude-sonnet-4-5', 'claude-sonnet-4-5', 'a test')",
    )
    expected = ask(dsn, forms, names)
    assert expected[0][1:] == ("claude-sonnet-4-5",) * 2
    with connect(dsn) as connection:
        connection.execute(BACKSLASHES.encode())
        assert connection.execute(forms.encode(), (names,)).fetchall() == expected
