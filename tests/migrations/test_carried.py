"""What was carried goes on: triggers, types, ids and computed columns under the old name."""

from decimal import Decimal
from importlib import import_module

import psycopg
import pytest

from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, as_gateway, ask
from tests.migrations.conftest import SetSetting
from tests.migrations.dumps import dump
from tests.migrations.operator import omniledger


def test_the_search_column_follows_what_is_written_through_the_old_name(
    each_server: Server,
) -> None:
    dsn = each_server.state("lineage_with_search:upgraded")
    found = "select id from audit_logs where search_vector @@ to_tsquery('english', %s) order by 1"
    assert ask(dsn, found, "order | invoices") == [(1,), (2,)]
    [(new,)] = ask(
        dsn, "insert into audit_logs (user_id, message) values (1, 'late parcels') returning id"
    )
    assert ask(dsn, found, "parcel") == [(new,)]
    ask(dsn, "update audit_logs set response_preview = 'found in the depot' where id = %s", new)
    assert ask(dsn, found, "depot & parcel") == [(new,)]
    assert ask(dsn, "insert into audit_logs (message) values ('x') returning search_vector") == [
        ("'x':1A",)
    ]
    # What the gateway writes is none of the old trigger's business.
    ask(dsn, "insert into omni2.audit_logs (question, success) values ('parcel', true)")
    assert ask(dsn, "select count(*) from omni2.audit_logs where search_vector is null") == [(1,)]
    # And a repaired function is the one that works from then on.
    ask(
        dsn,
        "create or replace function public.audit_logs_search_update() returns trigger language"
        " plpgsql as 'begin new.search_vector := ''mended''; return new; end'",
    )
    ask(dsn, "update audit_logs set status = 'seen' where id = %s", new)
    assert ask(dsn, "select id from audit_logs where search_vector = 'mended'") == [(new,)]


def test_indexes_of_columns_that_the_ledger_did_not_know_are_built_on_it(
    each_server: Server,
) -> None:
    dsn = each_server.state("lineage_with_search:upgraded")
    assert ask(
        dsn,
        "select split_part(indexdef, ' USING ', 2) from pg_indexes"
        " where indexname ~ '^omniledger_carried' order by 1",
    ) == [
        # The other twelve have an index of the ledger's, or are of what the ledger knew.
        ("btree (legacy_timestamp DESC) WHERE (legacy_id IS NOT NULL)",),
        ("gin (databases_accessed) WHERE (legacy_id IS NOT NULL)",),
        ("gin (search_vector) WHERE (legacy_id IS NOT NULL)",),
    ]


def test_analytics_views_read_the_old_name_unqualified(server: Server) -> None:
    dsn = server.state("lineage_with_search:upgraded")
    ask(dsn, "insert into audit_logs (user_id, message, cost_estimate) values (2, 'a', 0.5)")
    assert ask(dsn, "select email, requests, cost from v_user_activity order by 1") == [
        ("ada@example.com", 1, Decimal("0.000016")),
        ("bob@example.com", 2, Decimal("0.500000")),
    ]
    assert ask(dsn, "select sum(requests) from audit_logs_summary") == [(4,)]


def test_a_search_column_kept_by_the_server_itself_goes_on_and_so_does_a_notification(
    each_server: Server,
) -> None:
    dsn = each_server.state("lineage_without_message_search:upgraded")
    with as_gateway(dsn, autocommit=True) as connection:
        connection.execute("listen audit_errors")
        rows = connection.execute(
            "insert into audit_logs (message, question, status) values"
            " ('m', 'the searches', 'error'), ('n', null, 'success') returning id, search_vector"
        ).fetchall()
        told = [n.payload for n in connection.notifies(timeout=10, stop_after=1)]
    assert rows == [(3, "'search':2"), (4, "")]
    assert told == ["3 m"]


def test_triggers_see_old_rows_conditions_columns_and_may_refuse(each_server: Server) -> None:
    dsn = each_server.state("own_triggers:upgraded")
    ask(dsn, "truncate audit_history")
    assert ask(dsn, "insert into audit_logs (message) values ('new'), ('noise') returning id") == [
        (3,)
    ]
    ask(dsn, "update audit_logs set status = 'done' where id = 1")
    ask(dsn, "update audit_logs set message = 'other words' where id = 1")
    ask(dsn, "delete from audit_logs where id in (2, 3)")
    assert ask(
        dsn, "select id, status, version, updated_at is not null from audit_logs order by id"
    ) == [(1, "done", 3, True), (2, "error", 1, False)]
    assert ask(dsn, "select what, request, old_status, new_status from audit_history") == [
        ("it's", 3, None, "success"),
        ("it's", 1, "success", "done"),
        ("it's", 3, "success", None),
    ]


def test_a_trigger_runs_as_the_writer_as_it_did(server: Server) -> None:
    dsn = server.state("own_triggers")
    role = f"writer_{dsn.dbname}"
    ask(
        dsn,
        f"create role {role}; grant insert, select, update on public.audit_logs to {role};"
        f" grant insert on public.audit_history to {role};"
        f" grant usage on sequence public.audit_logs_id_seq to {role}",
    )
    try:
        revisions.upgrade(dsn)
        with as_gateway(dsn) as connection:
            connection.execute(f"set role {role}".encode())
            connection.execute("insert into audit_logs (message) values ('mine')")
            connection.execute("update audit_logs set status = 'done' where message = 'mine'")
        assert ask(dsn, "select who from audit_history where request = 3") == [(role,), (role,)]
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


def test_a_gateway_that_might_not_write_the_old_table_is_not_held_up_by_its_triggers(
    server: Server,
) -> None:
    dsn = server.state("lineage_with_search:upgraded")
    role = f"gateway_{dsn.dbname}"
    ask(
        dsn,
        f"create role {role}; grant usage on schema omni2 to {role};"
        f" grant all on omni2.audit_logs to {role}",
    )
    try:
        with connect(dsn) as connection:
            connection.execute(f"set role {role}".encode())
            done = connection.execute(
                "update omni2.audit_logs set question = 'changed by the gateway'"
                " where legacy_id is not null and source_system = 'gateway'"
            )
            assert done.rowcount == 1
        assert ask(dsn, "select message from audit_logs where id = 1") == [
            ("changed by the gateway",)
        ]
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


def test_triggers_rest_on_the_way_back_and_fire_again_after_it(server: Server) -> None:
    dsn = server.state("own_triggers:upgraded")
    ask(dsn, "insert into audit_logs (message) values ('since')")
    ask(dsn, "truncate audit_history")
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select count(*) from audit_history") == [(0,)]
    ask(dsn, "insert into audit_logs (message) values ('after')")
    assert ask(dsn, "select request from audit_history") == [(4,)]


def test_who_may_write_a_column_by_name_may_write_what_it_was_converted_to(
    each_server: Server,
) -> None:
    dsn = each_server.state("cost_float_by_hand")
    writer = f"writer_{dsn.dbname}"
    ask(dsn, f"create role {writer}")
    try:
        ask(
            dsn,
            f"grant usage on schema omni2 to {writer};"
            f" grant usage on sequence omni2.audit_logs_id_seq to {writer};"
            f" grant select (id), insert (question,"
            f" success, cost_usd), update (cost_usd) on omni2.audit_logs to {writer};"
            " comment on column omni2.audit_logs.cost_usd is 'in dollars'",
        )
        before = dump(dsn, "--schema-only")
        revisions.upgrade(dsn)
        ask(
            dsn,
            f"set role {writer}; insert into omni2.audit_logs (question, success, cost_usd)"
            " values ('a', true, 0.1) returning id",
        )
        stored = "select cost_usd from omni2.audit_logs where question = 'a'"
        assert ask(dsn, stored) == [(Decimal("0.1"),)]
        assert ask(
            dsn,
            "select col_description(attrelid, attnum) from pg_attribute"
            " where attrelid = 'omni2.audit_logs'::regclass and attname = 'cost_usd'",
        ) == [("in dollars",)]
        ask(dsn, f"grant select (cost_usd) on omni2.audit_logs to {writer}")
        revisions.downgrade(dsn, "base")
        # It may read, since, what it may write.
        ask(dsn, f"set role {writer}; select cost_usd from omni2.audit_logs")
        ask(dsn, f"revoke select (cost_usd) on omni2.audit_logs from {writer}")
        assert dump(dsn, "--schema-only") == before
    finally:
        ask(dsn, f"drop owned by {writer}; drop role {writer}")


def test_money_kept_as_a_float_by_hand_becomes_the_decimal_that_it_prints(
    each_server: Server,
) -> None:
    dsn = each_server.state("cost_float_by_hand:upgraded")
    assert ask(
        dsn,
        "select question, cost_usd::text from omni2.audit_logs where legacy_id is null order by id",
    ) == [
        ("a third", "0.1"),
        ("tiny", "0.0000001"),
        ("a number that no float is", "0.30000000000000004"),
        ("not a number", "NaN"),
    ]
    assert ask(
        dsn,
        "select tokens_input, tokens_output, tokens_cached, cost_usd, status"
        " from omni2.audit_logs where legacy_id = 1",
    ) == [(70000, 0, 0, Decimal("0.000123"), None)]
    assert ask(
        dsn,
        "select pg_typeof(cost_usd)::text, pg_typeof(tokens_input)::text,"
        " pg_typeof(tokens_output)::text from omni2.audit_logs limit 1",
    ) == [("numeric", "integer", "bigint")]
    ask(
        dsn,
        "insert into omni2.audit_logs (question, success, cost_usd, tokens_input)"
        " values ('since', true, 0.7, 40000)",
    )
    ask(dsn, "delete from omni2.audit_logs where question = 'not a number'")
    assert ask(dsn, "select cost from omni2.costs") == [(Decimal("1.10012310000000004"),)]
    revisions.downgrade(dsn, "base")
    assert ask(
        dsn, "select cost_usd, tokens_input from omni2.audit_logs where question = 'since'"
    ) == [(0.7, None)]


def test_a_cost_with_few_decimals_gets_room(server: Server) -> None:
    dsn = server.state("cost_scaled_by_hand:upgraded")
    ask(dsn, "insert into audit_logs (message, cost_estimate) values ('new', 0.1234567)")
    assert ask(dsn, "select cost_usd from omni2.audit_logs order by id") == [
        (Decimal("0.1234"),),
        (Decimal("0.000123"),),
        (Decimal("0.123457"),),
    ]


def test_words_in_place_of_money_are_kept_beside_it(server: Server) -> None:
    dsn = server.state("cost_text_by_hand:upgraded")
    assert ask(
        dsn,
        "select question, cost_usd, cost_usd_by_hand from omni2.audit_logs"
        " where legacy_id is null order by id",
    ) == [
        ("a number", Decimal("0.25"), " 0.25 "),
        ("words", None, "about a dollar"),
        ("nothing", None, None),
    ]
    assert ask(
        dsn, "select legacy_id, cost_usd from omni2.audit_logs where legacy_id is not null"
    ) == [(1, Decimal("0.1"))]


def test_a_local_time_and_a_float_are_shown_as_they_were_and_kept_as_they_are_meant(
    each_server: Server,
) -> None:
    dsn = each_server.state("local_times_and_float_costs:upgraded")
    assert ask(dsn, "select legacy_id, reason from ledger.audit_quarantine order by 1") == [
        (3, "the row has no time"),
        (5, "its cost is NaN, not an amount"),
    ]
    assert ask(dsn, "select id, created_at::text, cost_estimate from audit_logs order by id") == [
        (1, "2026-02-10 10:00:00", 0.1),
        (2, "2026-02-10 11:00:00.123456", 1e-07),
        (4, "2026-02-10 12:00:00", None),
    ]
    meant = (
        "select timestamp at time zone 'utc' || '', cost_usd, question, tokens_input, tokens_output"
        " from omni2.audit_logs where legacy_id = %s"
    )
    assert ask(dsn, meant, 2) == [
        ("2026-02-10 11:00:00.123456", Decimal("0.0000001"), "only here", 5, None)
    ]
    [(new,)] = ask(
        dsn,
        "insert into audit_logs (message, created_at, cost_estimate, tokens_input)"
        " values ('new', '2026-07-01 12:00', 0.3, 7) returning id",
    )
    assert ask(dsn, meant, new) == [("2026-07-01 12:00:00", Decimal("0.3"), "new", 7, None)]
    ask(
        dsn,
        "update audit_logs set created_at = '2026-07-02', cost_estimate = 0.4 where id = %s",
        new,
    )
    assert ask(dsn, meant, new) == [("2026-07-02 00:00:00", Decimal("0.4"), "new", 7, None)]


def test_a_local_time_is_read_in_the_zone_of_the_setting(
    server: Server, set_setting: SetSetting
) -> None:
    set_setting("legacy_timezone", "Europe/Berlin")
    dsn = server.state("local_times_and_float_costs")
    revisions.upgrade(dsn)
    assert ask(
        dsn, "select (timestamp at time zone 'utc')::text from omni2.audit_logs where legacy_id = 4"
    ) == [("2026-02-10 11:00:00",)]


@pytest.mark.parametrize(
    ("state", "given", "ids"),
    [
        ("id_identity_always", "", [2, 3]),
        ("id_from_an_unowned_sequence", "", [5000000003, 5000000004]),
        ("id_without_sequence", "7", [7]),
    ],
)
def test_ids_come_from_where_they_came(
    each_server: Server, state: str, given: str, ids: list[int]
) -> None:
    dsn = each_server.state(f"{state}:upgraded")
    name, value = (", id", f", {given}") if given else ("", "")
    for id_ in ids:
        assert ask(
            dsn, f"insert into audit_logs (message{name}) values ('a'{value}) returning id"
        ) == [(id_,)]


NUMBERED = (
    (
        "always",
        "start with 100 increment by 10 minvalue 100 maxvalue 500 cache 5 cycle",
        [110, 120],
    ),
    ("by default", "start with -1 increment by -1 minvalue -1000000", [-2, -3]),
)


@pytest.mark.parametrize(("kind", "options", "ids"), NUMBERED)
def test_an_identity_counts_on_as_it_did_there_and_back(
    each_server: Server, kind: str, options: str, ids: list[int]
) -> None:
    dsn = each_server.state("gateway")
    role = f"owner_{dsn.dbname}"
    text = "select * from pg_sequences where schemaname = 'public'"
    ask(
        dsn,
        "alter table public.audit_logs alter id drop default;"
        " drop sequence public.audit_logs_id_seq;"
        f" alter table public.audit_logs alter id add generated {kind} as identity ({options});"
        f" create role {role}; alter table public.audit_logs owner to {role};"
        " grant select on sequence public.audit_logs_id_seq to pg_monitor with grant option;"
        f" grant usage on sequence omni2.audit_logs_id_seq to {role};"
        " grant usage on sequence public.audit_logs_id_seq to public;"
        " comment on sequence public.audit_logs_id_seq is 'It''s ours'",
    )
    try:
        # Each session takes as many as are cached.
        ask(dsn, "insert into audit_logs (message) values ('a')")
        ask(dsn, "select setval('public.audit_logs_id_seq', min(id)) from public.audit_logs")
        before, properties, rights = dump(dsn), ask(dsn, text), rights_and_comment(dsn)
        revisions.upgrade(dsn)
        assert ask(dsn, text) == properties
        assert rights_and_comment(dsn) == rights
        assert ask(dsn, "insert into audit_logs (message) values ('b') returning id") == [(ids[0],)]
        ask(dsn, "select setval('public.audit_logs_id_seq', %s)", ids[0])
        revisions.downgrade(dsn, "base")
        assert ask(dsn, "insert into audit_logs (message) values ('c') returning id") == [(ids[1],)]
        ask(dsn, "delete from audit_logs where message in ('b', 'c')")
        assert dump(dsn) == before
    finally:
        ask(dsn, f"drop owned by {role} cascade; drop role {role}")


def rights_and_comment(dsn: Dsn) -> list[tuple[object, ...]]:
    """Without those of our own roles, which come and go with a revision."""
    return ask(
        dsn,
        "select array(select a::text from unnest(relacl) as a"
        " where a::text !~ '^omniledger_(writer|runner)=' order by 1), obj_description(oid)"
        " from pg_class where relname = 'audit_logs_id_seq'"
        " and relnamespace = 'public'::regnamespace",
    )


def test_a_row_without_an_id_is_refused_where_the_writer_counts_them(server: Server) -> None:
    dsn = server.state("id_without_sequence:upgraded")
    with pytest.raises(psycopg.errors.WithCheckOptionViolation):
        ask(dsn, "insert into audit_logs (message) values ('which?')")
    assert ask(dsn, "select count(*) from omni2.audit_logs where question = 'which?'") == [(0,)]


def test_a_row_whose_id_is_said_to_be_none_is_refused_and_not_the_gateways(
    each_server: Server,
) -> None:
    """The old table refused it too, but for a trigger that gave it one."""
    dsn = each_server.state("investigation:upgraded")
    rows = ask(dsn, "select count(*) from omni2.audit_logs")
    for statement in (
        "insert into audit_logs (id, message) values (null, 'which?')",
        "update audit_logs set id = null where id = 102",
    ):
        with pytest.raises(psycopg.errors.WithCheckOptionViolation):
            ask(dsn, statement)
    assert ask(dsn, "select count(*) from omni2.audit_logs") == rows


def test_a_trigger_that_gives_ids_beside_a_default_gives_them_on(each_server: Server) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create function public.give_id() returns trigger language plpgsql as"
        " 'begin new.id := new.id + 1000; return new; end';"
        " create trigger give_id before insert on public.audit_logs for each row"
        " execute function public.give_id()",
    )
    revisions.upgrade(dsn)
    [(id_,)] = ask(dsn, "insert into audit_logs (message) values ('a') returning id")
    assert id_ > 1000


def test_a_trigger_that_reads_the_id_which_the_writer_gives_is_carried(
    each_server: Server,
) -> None:
    dsn = each_server.state("id_without_sequence")
    ask(
        dsn,
        "create function public.note_id() returns trigger language plpgsql as"
        " 'begin if new.id = 7 then new.message := ''lucky ''|| new.id; end if; return new; end';"
        " create trigger note_id before insert on public.audit_logs for each row"
        " execute function public.note_id()",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, "insert into audit_logs (id, message) values (7, 'a') returning message") == [
        ("lucky 7",)
    ]


def test_generated_columns_are_computed_for_what_is_written(each_server: Server) -> None:
    dsn = each_server.state("generated_columns:upgraded")
    assert ask(
        dsn,
        "insert into audit_logs (message, tokens_input) values ('hello you', 5)"
        " returning tokens_all, headline",
    ) == [(5, "HELLO")]
    ask(dsn, "update audit_logs set message = 'other' where id = 1")
    assert ask(dsn, "select tokens_all, headline from audit_logs order by id") == [
        (12, "OTHER"),
        (None, None),
        (5, "HELLO"),
    ]
    revisions.downgrade(dsn, "0006")
    assert ask(dsn, "select tokens_all, headline from public.audit_logs order by id") == [
        (12, "OTHER"),
        (None, None),
        (5, "HELLO"),
    ]


def test_what_an_earlier_version_noted_of_a_merge_gets_its_names_in_full(server: Server) -> None:
    """It noted them as the gateway's search path reads them."""
    dsn = server.state("odd_columns:upgraded")
    [(noted,)] = ask(dsn, "select shape from ledger.merge_runs")
    assert "public.mood" in str(noted)
    before = import_module("migrations.versions.0035_narrow_runners").down_revision
    revisions.downgrade(dsn, before)
    short = (
        "update ledger.merge_runs set shape = replace(shape::text, 'public.mood', 'mood')::jsonb"
    )
    ask(dsn, short)
    revisions.upgrade(dsn)
    assert ask(dsn, "select shape from ledger.merge_runs") == [(noted,)]
    assert omniledger(dsn, "merge", "verify").code == 0
    # On the copy of another server's notes there is no such type.
    ask(dsn, short.replace("'mood')", "'elsewhere')"))
    before_that = ask(dsn, "select shape from ledger.merge_runs")
    revisions.downgrade(dsn, before)
    revisions.upgrade(dsn)
    assert ask(dsn, "select shape from ledger.merge_runs") == before_that


def test_odd_columns_are_written_through_the_old_name(server: Server) -> None:
    dsn = server.state("odd_columns:upgraded")
    wanted = ("x", "7", {"a": [1]}, "bad", 12, "mine", "l", True)
    columns = (
        '"with ""quotes"" and: {0}", legacy_id, details, mood, share, source_system::text, l, found'
    )
    ask(
        dsn,
        'insert into audit_logs ("with ""quotes"" and: {0}", legacy_id, details, mood, share,'
        " source_system, l, found, message) values"
        """ ('x', '7', '{"a": [1]}', 'bad', 12, 9, 'l', true, 'odd')""",
    )
    [row] = ask(dsn, f"select {columns} from audit_logs where message = 'odd'")
    assert row == (*wanted[:5], "9", *wanted[6:])
    assert ask(dsn, "select source_system from omni2.audit_logs where question = 'odd'") == [
        ("chat",)
    ]


def test_ids_come_from_the_default_that_there_was_and_not_from_what_they_own(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create sequence public.other start 1000;"
        " alter table public.audit_logs alter id set default nextval('public.other')",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, "insert into audit_logs (message) values ('a') returning id") == [(1000,)]
    assert omniledger(dsn, "merge", "verify").code == 0


def test_a_column_has_the_default_that_it_had_and_none_where_it_had_none(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create domain public.color as text default 'red';"
        " alter table omni2.audit_logs alter slack_channel set default 'general';"
        " alter table public.audit_logs alter created_at drop default, add color public.color",
    )
    revisions.upgrade(dsn)
    assert ask(
        dsn,
        "insert into audit_logs (message) values ('a') returning created_at, slack_channel, color",
    ) == [(None, None, "red")]


def test_default_privileges_give_nobody_the_old_name(server: Server) -> None:
    dsn = server.state("lineage_with_search")
    role = f"reader_{dsn.dbname}"
    ask(
        dsn,
        f"create view public.mine as select * from public.audit_logs; create role {role};"
        f" alter default privileges in schema public grant select, insert on tables to {role}",
    )
    try:
        revisions.upgrade(dsn)
        for view in ("audit_logs", "mine"):
            assert ask(dsn, "select has_table_privilege(%s, %s, 'select')", role, view) == [
                (False,)
            ]
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


def test_a_trigger_that_finds_tables_by_the_gateways_path_is_named_with_the_way_out(
    server: Server,
) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "create table public.seen (id int);"
        "create function omni2.see() returns trigger language plpgsql as"
        " $$ begin insert into seen values (new.id); return null; end $$;"
        "create trigger see after insert on omni2.audit_logs"
        " for each row execute function omni2.see()",
    )
    with pytest.raises(NotReadyError, match=r"let `alter function omni2\.see\(\) set search_path"):
        revisions.upgrade(dsn)
    ask(dsn, "alter function omni2.see() set search_path = public")
    revisions.upgrade(dsn)
    assert ask(dsn, "select count(*) from public.seen") == [(7,)]
