"""Unique keys of the old table go on refusing doubles, are found by `on conflict`, and bind nobody
else."""

import psycopg
import pytest

from migrations.merge import run
from migrations.merge.copy import apply_changes
from omniledger import revisions
from omniledger.database import connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, ask
from tests.killing import killed_at
from tests.migrations.operator import omniledger
from tests.migrations.test_merge import upgrade_with


def test_each_key_and_expression_is_built_on_the_ledger_in_its_names(each_server: Server) -> None:
    dsn = each_server.state("unique_keys:upgraded")
    built = ask(
        dsn,
        "select split_part(indexdef, ' ON omni2.audit_logs USING ', 2),"
        " indexdef like 'CREATE UNIQUE %%' from pg_indexes"
        " where indexname ~ '^omniledger_carried' order by 1",
    )
    assert built == [
        # That of the gateway's sample; its column has a place of its own now.
        ("btree (legacy_created_at) WHERE (legacy_id IS NOT NULL)", False),
        (
            "btree (legacy_message_preview) WHERE (((status)::text = 'success'::text)"
            " OR (legacy_message_preview = 'twice'::text))",
            True,
        ),
        ("btree (legacy_slack_channel, legacy_slack_message_ts) INCLUDE (status)", True),
        ("btree (legacy_user_id, legacy_created_at)", True),
        (
            "btree (lower(request_uid) DESC NULLS LAST)"
            " WHERE (success AND (legacy_id IS NOT NULL))",
            False,
        ),
        ("btree (request_uid)", True),
    ]


UPSERTS = (
    "insert into audit_logs (slack_channel, slack_message_ts, message)"
    " values ('C1', '1.2', 'again') on conflict (slack_channel, slack_message_ts)",
    "insert into audit_logs (request_uid, message) values ('b', 'again') on conflict (request_uid)",
    "insert into audit_logs (user_id, created_at, message)"
    " values (7, '2026-02-10 10:05:00+00', 'again') on conflict (user_id, created_at)",
    "insert into audit_logs (message_preview, status, message) values ('twice', 'error', 'again')"
    " on conflict (message_preview) where status = 'success' or message_preview = 'twice'",
)


@pytest.mark.parametrize("upsert", UPSERTS)
@pytest.mark.parametrize("revision", ["0006", "head"])
def test_on_conflict_finds_the_row_that_it_found(
    each_server: Server, upsert: str, revision: str
) -> None:
    """Before the upgrade, which is what the test is worth, and after it."""
    dsn = each_server.state("unique_keys")
    ask(dsn, "update audit_logs set message_preview = 'twice' where id = 2")
    revisions.upgrade(dsn, revision)
    assert ask(dsn, f"{upsert} do nothing returning id") == []
    assert ask(dsn, f"{upsert} do update set warning = 'twice' returning id, warning") == [
        (2, "twice")
    ]


def test_doubles_are_refused_under_the_old_name_alone(each_server: Server) -> None:
    dsn = each_server.state("unique_keys:upgraded")
    for double in UPSERTS[:3]:
        with pytest.raises(psycopg.errors.UniqueViolation):
            ask(dsn, double.partition(" on conflict")[0])
    ask(
        dsn,
        "insert into omni2.audit_logs (user_id, timestamp, question, success, slack_channel,"
        " slack_message_ts) select 1, '2026-02-10 10:05:00+00', 'a tool call', true, 'C1', '1.2'"
        " from generate_series(1, 2)",
    )


def test_a_key_shows_what_it_holds_on_both_sides(each_server: Server) -> None:
    """The ledger's own column follows the one that only the old name writes."""
    dsn = each_server.state("unique_keys:upgraded")
    both = "select slack_channel, legacy_slack_channel from omni2.audit_logs where legacy_id = %s"
    assert ask(dsn, both, 2) == [("C1", "C1")]
    [(new,)] = ask(dsn, "insert into audit_logs (slack_channel) values ('C2') returning id")
    assert ask(dsn, both, new) == [("C2", "C2")]
    ask(dsn, "update audit_logs set slack_channel = 'C3' where id = %s", new)
    assert ask(dsn, both, new) == [("C3", "C3")]
    assert ask(
        dsn,
        "select count(*) from omni2.audit_logs where legacy_id is null and"
        " legacy_slack_channel is not null",
    ) == [(0,)]


def test_a_key_that_is_missing_is_noticed_with_what_makes_it_again(server: Server) -> None:
    dsn = server.state("unique_keys:upgraded")
    assert omniledger(dsn, "merge", "verify").code == 0
    ask(dsn, "drop index omni2.omniledger_carried_one_of_each_uid")
    done = omniledger(dsn, "merge", "verify", "--json")
    [damage] = done.document()["damage"]
    assert (done.code, "carried_one_of_each_uid is missing" in damage) == (9, True)
    with connect(dsn, autocommit=True) as connection:
        connection.execute(damage.split("`")[3].encode())
    assert omniledger(dsn, "merge", "verify").code == 0


def test_what_lets_the_ledger_follow_is_missed_when_it_is_gone(server: Server) -> None:
    dsn = server.state("unique_keys:upgraded")
    ask(dsn, "drop trigger omniledger_derive_update on omni2.audit_logs")
    done = omniledger(dsn, "merge", "verify", "--json")
    [damage] = done.document()["damage"]
    assert (done.code, "trigger omniledger_derive_update" in damage) == (9, True)


@pytest.mark.parametrize("step", ["match_history", "apply_changes", "cut_over"])
def test_a_value_that_wanders_from_row_to_row_during_the_merge_stops_nothing(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    dsn = each_server.state("unique_keys")
    wander = (
        "update public.audit_logs set request_uid = 'c' where id = 1;"
        " update public.audit_logs set request_uid = 'a' where id = 2;"
        " update public.audit_logs set request_uid = 'b' where id = 1"
    )
    assert upgrade_with(monkeypatch, dsn, step, wander) == [(4, 3, 1, 0, True)]
    assert ask(dsn, "select request_uid from audit_logs order by id") == [
        ("b",),
        ("a",),
        (None,),
        (None,),
    ]


def test_values_that_stand_in_two_rows_for_a_while_are_waited_for(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is copied, its value goes on to another, and that is copied with it."""
    dsn = each_server.state("unique_keys")
    calls = []

    def later(*args: object, **kwargs: object) -> int:
        calls.append(1)
        if len(calls) == 1:
            ask(
                dsn,
                "update public.audit_logs set request_uid = null where id = 2;"
                " insert into public.audit_logs (request_uid) values ('b');"
                # As though it had been copied after the change.
                " insert into omni2.audit_logs (source_system, legacy_id, request_uid, timestamp)"
                " values ('legacy', 5, 'b', now())",
            )
            return 0
        return apply_changes(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "apply_changes", later)
    revisions.upgrade(dsn)
    assert ask(dsn, "select id from audit_logs where request_uid = 'b'") == [(5,)]
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(5, True)]


def test_a_value_that_wanders_after_a_kill_stops_nothing(each_server: Server) -> None:
    dsn = each_server.state("unique_keys")
    with killed_at(run, "cut_over"):
        revisions.upgrade(dsn)
    ask(
        dsn,
        "update public.audit_logs set request_uid = null where id = 2;"
        " insert into public.audit_logs (request_uid, message) values ('b', 'anew')",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, "select message from audit_logs where request_uid = 'b'") == [("anew",)]
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(5, True)]


def test_a_key_that_is_gone_after_a_kill_refuses_nothing(each_server: Server) -> None:
    dsn = each_server.state("unique_keys")
    with killed_at(run, "cut_over"):
        revisions.upgrade(dsn)
    ask(dsn, "alter table public.audit_logs drop constraint one_of_each_uid")
    revisions.upgrade(dsn)
    ask(dsn, "insert into audit_logs (request_uid) values ('b')")
    assert omniledger(dsn, "merge", "verify").code == 0


CHANGES = {
    "alter table public.audit_logs add team text; update public.audit_logs set team = 'x'": (
        "select distinct team from audit_logs",
        [("x",)],
    ),
    "create unique index late on public.audit_logs (slack_channel)": (
        "select count(*) from pg_indexes where indexdef ~ 'UNIQUE.*[(]legacy_slack_channel[)]'",
        [(1,)],
    ),
    "alter table public.audit_logs alter message set default 'none'": (
        "insert into audit_logs default values returning message",
        [("none",)],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["copy_history", "cut_over"])
def test_a_table_that_is_changed_while_it_is_merged_is_merged_as_it_is_then(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, change: str, step: str
) -> None:
    dsn = each_server.state("investigation")
    real, left = getattr(run, step), [change]

    def after_change(*args: object, **kwargs: object) -> object:
        if left:
            ask(dsn, left.pop())
        return real(*args, **kwargs)

    monkeypatch.setattr(run, step, after_change)
    revisions.upgrade(dsn)
    question, answer = CHANGES[change]
    assert ask(dsn, question) == answer
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]
    ask(
        dsn,
        "insert into omni2.audit_logs (question, success, slack_channel)"
        " select 'the gateway', true, 'C1' from generate_series(1, 2)",
    )


def test_what_would_be_refused_is_refused_when_it_comes_during_the_merge(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = each_server.state("investigation")
    with pytest.raises(NotReadyError, match="because it has row level security"):
        upgrade_with(
            monkeypatch, dsn, "cut_over", "alter table public.audit_logs enable row level security"
        )
    ask(dsn, "alter table public.audit_logs disable row level security")
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]


def test_keys_with_names_that_begin_alike_are_all_carried(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    long = "a" * 58
    ask(
        dsn,
        f"alter table public.audit_logs add one text, add two text, add constraint {long}_one"
        f" unique (one), add constraint {long}_two unique (two)",
    )
    revisions.upgrade(dsn)
    for name in ("one", "two"):
        ask(dsn, f"insert into audit_logs ({name}) values ('x')")
        assert (
            ask(
                dsn,
                f"insert into audit_logs ({name}) values ('x') on conflict ({name}) do nothing"
                " returning id",
            )
            == []
        )
    revisions.downgrade(dsn, "base")


def test_what_was_written_by_a_key_goes_back_with_it(each_server: Server) -> None:
    dsn = each_server.state("unique_keys:upgraded")
    ask(dsn, UPSERTS[1] + " do update set request_uid = 'z', slack_channel = 'C9'")
    ask(dsn, "insert into audit_logs (request_uid, message) values ('b', 'anew')")
    revisions.downgrade(dsn, "0006")
    assert ask(
        dsn,
        "select request_uid, slack_channel from audit_logs where id in (2, 5, 6, 7)"
        " order by request_uid",
    ) == [("b", None), ("z", "C9")]


def test_an_old_table_that_has_changed_since_the_schema_steps_is_merged_as_it_is(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    ask(
        dsn,
        "alter table public.audit_logs add column team text;"
        " create unique index one on public.audit_logs (slack_message_ts)",
    )
    ask(dsn, "update public.audit_logs set team = 'x', slack_message_ts = '9.9' where id = 102")
    assert omniledger(dsn, "merge", "run").code == 0
    assert ask(dsn, "select team, slack_message_ts from audit_logs where id = 102") == [
        ("x", "9.9")
    ]
    assert ask(
        dsn,
        "select slack_message_ts, legacy_slack_message_ts from omni2.audit_logs"
        " where legacy_id = 102",
    ) == [("9.9", "9.9")]
    revisions.downgrade(dsn, "base")
    assert ask(dsn, "select team, slack_message_ts from audit_logs where id = 102") == [
        ("x", "9.9")
    ]
    assert ask(
        dsn,
        "select count(*) from information_schema.columns"
        " where table_schema = 'omni2' and column_name like 'legacy%%'",
    ) == [(0,)]


def test_a_merge_that_was_begun_on_another_table_begins_anew(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    with killed_at(run, "cut_over"):
        revisions.upgrade(dsn)
    assert ask(dsn, "select count(*) > 0 from omni2.audit_logs where source_system = 'legacy'") == [
        (True,)
    ]
    ask(dsn, "alter table public.audit_logs add column team text default 'all'")
    revisions.upgrade(dsn)
    assert ask(dsn, "select distinct team from audit_logs") == [("all",)]
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]
