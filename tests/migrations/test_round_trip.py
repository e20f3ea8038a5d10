"""There and back: what a downgrade leaves is what an upgrade found."""

import re
from types import ModuleType

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from migrations import going_back, hand_made
from migrations.merge import cutover
from migrations.patience import lock_together
from omniledger import revisions
from omniledger.database import Connection, connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, as_gateway, ask
from tests.killing import killed_at
from tests.migrations.dumps import dump
from tests.migrations.operator import omniledger


def test_schema_and_rows_come_back_to_the_letter(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create view public.daily as"
        " select created_at::date as day, count(*) as requests from audit_logs group by 1;"
        " create view public.busy as select * from daily where requests > 1;"
        " create view public.writable as select id, message from audit_logs;"
        " alter view public.writable alter message set default 'it''s';"
        " create table public.notes (request integer references public.audit_logs (id)"
        " on delete cascade); insert into public.notes values (101), (102)",
    )
    before = dump(dsn)
    revisions.upgrade(dsn)
    assert dump(dsn) != before
    assert ask(dsn, "insert into writable default values returning message") == [("it's",)]
    ask(dsn, "delete from writable where message = 'it''s'")
    revisions.downgrade(dsn, "base")
    assert dump(dsn) == before
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]


def test_a_writer_has_the_rights_again_that_it_had(each_server: Server) -> None:
    dsn = each_server.state("own_triggers")
    bare, counting = f"bare_{dsn.dbname}", f"counting_{dsn.dbname}"
    ask(dsn, f"create role {bare}; create role {counting}")
    try:
        ask(
            dsn,
            f"grant insert (message) on public.audit_logs to {bare};"
            f" grant insert on public.audit_logs to {counting};"
            f" grant usage on sequence public.audit_logs_id_seq to {counting}",
        )
        before = dump(dsn)
        revisions.upgrade(dsn)
        held = "select has_sequence_privilege(%s, 'omni2.audit_logs_id_seq', 'usage')"
        assert ask(dsn, held, bare) == ask(dsn, held, counting) == [(True,)]
        revisions.downgrade(dsn, "0006")
        assert ask(
            dsn,
            "select rolname::text, has_schema_privilege(oid, 'ledger', 'usage') from pg_roles"
            " where rolname = any(%s) order by 1",
            [bare, counting],
        ) == [(bare, False), (counting, False)]
        revisions.downgrade(dsn, "base")
        assert dump(dsn) == before
        # What somebody was given with the right to give it on is more than the upgrade gave.
        revisions.upgrade(dsn)
        ask(
            dsn,
            f"grant usage on sequence omni2.audit_logs_id_seq to {bare} with grant option;"
            f" grant usage on schema omni2 to {bare};"
            f" set role {bare}; grant usage on sequence omni2.audit_logs_id_seq to public",
        )
        ask(dsn, f"drop owned by {counting}; drop role {counting}")
        revisions.downgrade(dsn, "base")
        assert ask(dsn, held, bare) == [(True,)]
    finally:
        for role in (bare, counting):
            if ask(dsn, "select from pg_roles where rolname = %s", role):
                ask(dsn, f"drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("state", ["investigation", "no_old_table"])
def test_rights_that_were_given_or_taken_since_go_back_too(each_server: Server, state: str) -> None:
    dsn = each_server.state(state)
    roles = [f"{name}_{dsn.dbname}" for name in ("new", "gone", "kept")]
    new, gone, kept = roles
    ask(dsn, "; ".join(f"create role {role}" for role in roles))
    old = ask(dsn, "select to_regclass('public.audit_logs') is not null") == [(True,)]
    try:
        if old:
            ask(
                dsn,
                f"grant select, insert on public.audit_logs to {gone} with grant option;"
                f" grant select (id), trigger on public.audit_logs to {kept}",
            )
        revisions.upgrade(dsn)
        ask(
            dsn,
            f"grant insert (message), select on public.audit_logs to {new};"
            f" revoke all on public.audit_logs from {gone}",
        )
        revisions.downgrade(dsn, "0006")
        assert ask(
            dsn,
            "select has_column_privilege(%s, 'public.audit_logs', 'message', 'insert'),"
            " has_table_privilege(%s, 'public.audit_logs', 'insert'),"
            " has_table_privilege(%s, 'public.audit_logs', 'select'),"
            " has_column_privilege(%s, 'public.audit_logs', 'id', 'select'),"
            " has_table_privilege(%s, 'public.audit_logs', 'trigger')",
            *(new, new, gone, kept, kept),
        ) == [(True, False, False, old, old)]
    finally:
        ask(dsn, "; ".join(f"drop owned by {role}; drop role {role}" for role in roles))


def test_rows_written_since_come_back_too(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    ask(dsn, "insert into audit_logs (user_id, message) values (2, 'written since')")
    ask(dsn, "update audit_logs set message = 'changed since' where id = 102")
    ask(dsn, "delete from audit_logs where id = 104")
    ask(dsn, "insert into omni2.audit_logs (question, success) values ('a tool call', true)")
    revisions.downgrade(dsn, "0006")
    assert ask(
        dsn,
        "select id, user_id, message from public.audit_logs where id in (102, 104, 112)"
        " order by id",
    ) == [(102, 2, "changed since"), (112, 2, "written since")]
    assert ask(dsn, "select count(*) from public.audit_logs") == [(11,)]
    assert ask(dsn, "select count(*) from omni2.audit_logs") == [(7,)]
    # The writer's next id is one that nobody has.
    assert ask(dsn, "insert into public.audit_logs (message) values ('next') returning id") == [
        (113,)
    ]
    revisions.upgrade(dsn)
    assert ask(dsn, "select id from audit_logs where message = 'next'") == [(113,)]


@pytest.mark.parametrize(
    ("state", "rows"),
    [
        ("investigation", [(102, "changed since"), (112, "written since")]),
        ("no_old_table", [(1, "written since")]),
    ],
)
def test_a_transaction_that_began_before_the_cut_over_writes_on_as_any_other(
    each_server: Server, state: str, rows: list[tuple[int, str]]
) -> None:
    dsn = each_server.state(state)
    ask(dsn, "create table public.conversations (title text)")
    with as_gateway(dsn) as writer:
        # It has its number from here on, and no lock on either log.
        writer.execute("insert into conversations values ('begun')")
        revisions.upgrade(dsn)
        writer.execute("insert into audit_logs (message) values ('written since')")
        writer.execute("update audit_logs set message = 'changed since' where id = 102")
        writer.commit()
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "0006")
    written = "select id, message from audit_logs where message like '% since' order by id"
    assert ask(dsn, written) == rows


def test_a_transaction_that_begins_with_the_cut_over_writes_on_as_any_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.state("investigation")
    ask(dsn, "create table public.conversations (title text)")
    with as_gateway(dsn) as writer:

        def begin_and_lock(connection: Connection, modes: dict[str, str]) -> None:
            # The last number but that of the cut over, and no later one has ended yet.
            if writer.info.transaction_status == TransactionStatus.IDLE:
                writer.execute("insert into conversations values ('begun')")
            lock_together(connection, modes)

        monkeypatch.setattr(cutover, "lock_together", begin_and_lock)
        revisions.upgrade(dsn)
        writer.execute("update audit_logs set message = 'changed since' where id = 102")
        writer.commit()
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select id from audit_logs where message = 'changed since'") == [(102,)]


def test_what_the_gateway_wrote_over_what_its_row_gained_stays_the_gateways(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, "update public.audit_logs set duration_ms = 100, user_agent = 'chat' where id = 101")
    revisions.upgrade(dsn)
    assert ask(dsn, "select legacy_id, duration_ms from omni2.audit_logs where id = 1") == [
        (101, 100)
    ]
    ask(dsn, "update omni2.audit_logs set duration_ms = 250 where id = 1")
    revisions.downgrade(dsn, "base")
    gateways = "select duration_ms, user_agent, llm_tokens_used from omni2.audit_logs where id = 1"
    assert ask(dsn, gateways) == [(250, None, 1100)]


COUNTED_ELSEWHERE = """
    update ledger.merge_runs set cutover_xid = cutover_xid + 1000000;
    update ledger.settings
    set value = (
        select jsonb_object_agg(run.key, run.value::bigint + 1000000)
        from jsonb_each_text(value::jsonb) as run
    )
    where name = 'merge_begun';
    alter table omni2.audit_logs disable trigger user;
    update omni2.audit_logs set change_xid = change_xid + 1000000;
    alter table omni2.audit_logs enable trigger user
"""
"""What a dump brings into a new cluster, which counts its transactions from the beginning."""


def test_what_is_written_after_a_dump_was_restored_elsewhere_goes_back_too(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, COUNTED_ELSEWHERE)
    ask(dsn, "update audit_logs set tokens_input = 5 where id in (101, 102)")
    ask(dsn, "insert into audit_logs (message) values ('written since')")
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select id from audit_logs where message = 'written since'") == [(112,)]
    rewritten = "select id from audit_logs where tokens_input = 5 order by id"
    assert ask(dsn, rewritten) == [(101,), (102,)]


@pytest.mark.parametrize("action", ["cascade", "set null", "no action"])
def test_rows_that_refer_to_the_ledgers_own_id_are_not_taken_along(
    each_server: Server, action: str
) -> None:
    dsn = each_server.state("investigation:upgraded")
    ask(
        dsn,
        "create table omni2.feedback (audit_id integer references omni2.audit_logs (id)"
        f" on delete {action}); alter table omni2.feedback replica identity full;"
        " insert into omni2.feedback select id from omni2.audit_logs",
    )
    bound = ask(dsn, "select count(*) from omni2.feedback")
    with pytest.raises(
        NotReadyError, match=r"omni2\.feedback references rows of omni2\.audit_logs"
    ):
        revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select count(audit_id) from omni2.feedback") == bound
    # What refers to rows that the gateway logged is no obstacle.
    ask(
        dsn,
        "delete from omni2.feedback as f using omni2.audit_logs as a"
        " where f.audit_id = a.id and a.source_system <> 'gateway'",
    )
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select count(audit_id) from omni2.feedback") == [(6,)]


def test_rows_that_got_another_id_since_go_back_once(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    # One that both systems logged, and one that was copied.
    ask(dsn, "update audit_logs set id = id - 100 where id in (101, 102)")
    ask(dsn, "insert into audit_logs (id, message) values (102, 'another')")
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "0006")
    assert ask(
        dsn,
        "select id, message from public.audit_logs where id not between 103 and 111 order by id",
    ) == [(1, "both logged this"), (2, "only the chat log has this"), (102, "another")]
    assert ask(dsn, "select count(*) from public.audit_logs") == [(12,)]


def test_a_row_that_got_another_id_keeps_its_key_on_the_way_back(each_server: Server) -> None:
    dsn = each_server.state("unique_keys:upgraded")
    ask(dsn, "update audit_logs set id = 1002 where request_uid = 'b'")
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select id from public.audit_logs where request_uid = 'b'") == [(1002,)]


NO_ID = (
    "update audit_logs set id = null where id = 102",
    "insert into audit_logs (id, message) values (null, 'x')",
)


@pytest.mark.parametrize("revision", ["0006", "head"])
@pytest.mark.parametrize("statement", NO_ID)
def test_a_row_without_an_id_is_refused_as_before(
    each_server: Server, statement: str, revision: str
) -> None:
    dsn = each_server.state("investigation")
    revisions.upgrade(dsn, revision)
    with pytest.raises(psycopg.Error, match=r"null value in column|violates check option"):
        ask(dsn, statement)
    assert ask(dsn, "select count(*) from audit_logs where id = 102") == [(1,)]


def test_databases_that_were_merged_before_take_ids_as_seriously(server: Server) -> None:
    dsn = server.state("investigation:0033")
    ask(
        dsn,
        "drop trigger if exists omniledger_tombstone_moved on omni2.audit_logs;"
        " alter view public.audit_logs reset (check_option)",
    )
    revisions.upgrade(dsn)
    with pytest.raises(psycopg.errors.WithCheckOptionViolation):
        ask(dsn, NO_ID[0])
    ask(dsn, "update audit_logs set id = 2 where id = 102")
    assert omniledger(dsn, "merge", "verify").code == 0


def test_a_merge_that_is_put_off_is_left_alone_by_what_mends_one(server: Server) -> None:
    dsn = server.state("investigation")
    revisions.upgrade(dsn, "head", "merge=later")
    assert ask(
        dsn, "select count(*) from pg_trigger where tgname like 'omniledger\\_tombstone%%'"
    ) == [(0,)]
    revisions.downgrade(dsn, "base")


def test_an_identity_column_is_one_again(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "alter table public.audit_logs alter id drop default;"
        "drop sequence public.audit_logs_id_seq;"
        "alter table public.audit_logs alter id add generated by default as identity"
        " (start 112)",
    )
    before = dump(dsn)
    revisions.upgrade(dsn)
    assert ask(dsn, "insert into audit_logs (message) values ('a') returning id") == [(112,)]
    ask(dsn, "delete from audit_logs where id = 112")
    revisions.downgrade(dsn, "base")
    after = dump(dsn)
    assert [line for line in after if "START WITH" not in line] == [
        line for line in before if "START WITH" not in line
    ]
    assert ask(dsn, "insert into audit_logs (message) values ('b') returning id") == [(113,)]


def test_an_empty_database_gets_everything_and_an_old_name_that_works(each_server: Server) -> None:
    dsn = each_server.state("empty:upgraded")
    assert ask(dsn, "insert into audit_logs (message) values ('first') returning id") == [(1,)]
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select id, message from public.audit_logs") == [(1, "first")]
    revisions.upgrade(dsn)
    assert ask(dsn, "select id, message from audit_logs") == [(1, "first")]


def test_a_row_that_could_not_go_back_is_named_before_anything_is_changed(
    each_server: Server,
) -> None:
    dsn = each_server.state("empty:upgraded")
    ask(
        dsn,
        "insert into omni2.audit_logs (timestamp, user_id, tokens_input, tokens_output)"
        " select now(), 1, 10, 10 from generate_series(1, 4)",
    )
    before = dump(dsn)
    with pytest.raises(
        NotReadyError, match=r"question in 4 rows [(]id 1, 2, 3 and 1 more[)]; succ"
    ):
        revisions.downgrade(dsn, "base")
    assert dump(dsn) == before
    ask(dsn, "update omni2.audit_logs set question = '', success = true")
    revisions.downgrade(dsn, "base")
    assert ask(dsn, "select count(*) from omni2.audit_logs") == [(4,)]
    with pytest.raises(psycopg.errors.NotNullViolation, match="question"):
        ask(dsn, "insert into omni2.audit_logs (timestamp, success) values (now(), true)")


@pytest.mark.parametrize(
    "nameless",
    [
        "alter table public.audit_logs replica identity nothing",
        "alter table public.audit_logs drop constraint audit_logs_pkey, alter id set not null;"
        " create unique index once on public.audit_logs (id)",
    ],
    ids=["no identity", "no primary key"],
)
def test_a_published_table_whose_rows_nothing_names_comes_back(
    each_server: Server, nameless: str
) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, f"{nameless}; create publication captured for all tables")
    before = dump(dsn, "--schema-only")
    revisions.upgrade(dsn)
    ask(dsn, "update audit_logs set message = 'since' where id = 102")
    revisions.downgrade(dsn, "base")
    assert dump(dsn, "--schema-only") == before
    assert ask(dsn, "select message from audit_logs where id = 102") == [("since",)]


@pytest.mark.parametrize("way", ["head", "base"])
@pytest.mark.parametrize(
    "place", [(going_back, "require"), (hand_made, "put_back")], ids=lambda place: place[1]
)
def test_a_way_back_that_was_stopped_goes_on_either_way(
    server: Server, place: tuple[ModuleType, str], way: str
) -> None:
    """Stopped after the columns are proved to have values; a killed one leaves a check, too."""
    dsn = server.state("cost_float_by_hand")
    revisions.upgrade(dsn)
    with killed_at(*place):
        revisions.downgrade(dsn, "base")
    with connect(dsn) as connection:
        assert revisions.current(connection) == "0003"
    # Rows that the ledger takes are still taken.
    ask(dsn, "insert into omni2.audit_logs (timestamp, user_id, cost_usd) values (now(), 1, 0.5)")
    if way == "base":
        ask(dsn, "update omni2.audit_logs set question = '', success = true where question is null")
        revisions.downgrade(dsn, "base")
        assert ask(dsn, "select count(*) from omni2.audit_logs where cost_usd = 0.5") == [(1,)]
        revisions.upgrade(dsn)
        return
    ask(
        dsn,
        "alter table omni2.audit_logs add constraint omniledger_question_required"
        " check (question is not null) not valid",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, "select bool_and(holds) from ledger.merge_runs") == [(True,)]
    ask(dsn, "insert into omni2.audit_logs (timestamp, user_id) values (now(), 1)")
    kept = "select count(*) from omni2.audit_logs where question is null and cost_usd = 0.5"
    assert ask(dsn, kept) == [(1,)]


def test_current_check_and_history_know_the_head(server: Server) -> None:
    dsn = server.state("empty:upgraded")
    with connect(dsn) as connection:
        assert revisions.current(connection) == revisions.head()
        revisions.require_head(connection)


def test_an_id_that_was_given_again_takes_no_row_in_quarantine_away(server: Server) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, "insert into audit_logs (id, message) values (107, 'another')")
    assert "2 in quarantine" in omniledger(dsn, "merge", "verify").output
    ask(dsn, "insert into audit_logs (id, message, cost_estimate) values (300, 'since', 'NaN')")
    assert ask(dsn, "select count(*) from ledger.audit_quarantine") == [(3,)]
    with pytest.raises(NotReadyError, match=r"in quarantine have the ids 107, which other rows"):
        revisions.downgrade(dsn, "0006")
    with connect(dsn) as connection:
        assert revisions.current(connection) == revisions.head()
    ask(dsn, "update audit_logs set id = 200 where id = 107")
    ask(dsn, "insert into audit_logs (id, message) values (108, 'gone again')")
    ask(dsn, "delete from audit_logs where id = 108")
    revisions.downgrade(dsn, "0006")
    assert ask(
        dsn, "select id, message from audit_logs where id in (107, 108, 200) order by 1"
    ) == [
        (107, "no time"),
        (108, "a cost that is no number"),
        (200, "another"),
    ]


@pytest.mark.parametrize(
    ("made", "dropped", "said"),
    [
        (
            "create materialized view public.daily as select count(*) from public.audit_logs",
            "drop materialized view public.daily",
            "the materialized view public.daily reads it",
        ),
        (
            "create rule quiet as on delete to public.audit_logs do instead nothing",
            "drop rule quiet on public.audit_logs",
            "the rule quiet is on public.audit_logs",
        ),
        (
            "create function public.heed() returns trigger language plpgsql"
            " as 'begin return null; end';"
            "create trigger heed after insert on public.audit_logs"
            " for each statement execute function public.heed()",
            "drop function public.heed cascade",
            "the view public.audit_logs over it has a trigger",
        ),
        (
            "create function public.newest() returns public.audit_logs language sql"
            " as 'select * from public.audit_logs limit 1'",
            "drop function public.newest",
            "the function public.newest() takes or returns its rows as a type",
        ),
    ],
)
def test_what_was_made_over_the_old_name_since_is_named_before_anything_is_changed(
    server: Server, made: str, dropped: str, said: str
) -> None:
    dsn = server.state("investigation:upgraded")
    ask(dsn, made)
    with connect(dsn) as connection:
        head = revisions.current(connection)
    with pytest.raises(NotReadyError, match=re.escape(said)):
        revisions.downgrade(dsn, "0004")
    with connect(dsn) as connection:
        assert revisions.current(connection) == head
    ask(dsn, dropped)
    revisions.downgrade(dsn, "base")
