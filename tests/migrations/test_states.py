"""The state matrix: every state of a gateway that an upgrade may find, and what becomes of it.

Run it by itself with `python -m pytest tests/migrations/test_states.py -v`.
"""

import dataclasses
from collections.abc import Iterator
from decimal import Decimal

import pytest

from migrations import hand_made
from migrations.columns import read_columns
from migrations.legacy import inspect
from migrations.merge import run
from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import NotReadyError, SettingsError
from tests.conftest import Server, as_gateway, ask, requires
from tests.killing import killed_at
from tests.migrations.conftest import SetSetting
from tests.migrations.dumps import dump
from tests.migrations.operator import omniledger

CARRIED = {
    "investigation": "public",
    "lineage_with_search": "public",
    "lineage_without_message_search": "public",
    "own_triggers": "public",
    "cost_float_by_hand": "public",
    "cost_scaled_by_hand": "public",
    "cost_text_by_hand": "public",
    "local_times_and_float_costs": "public",
    "only_the_needful": "public",
    "id_identity_always": "public",
    "id_without_sequence": "public",
    "id_from_an_unowned_sequence": "public",
    "odd_columns": "public",
    "generated_columns": "public",
    "only_the_old_table": "public",
    "no_old_table": "public",
    "other_schema": "chat",
    "published_whole": "public",
    "unique_keys": "public",
    "own_collations": "public",
    "odd_json": "public",
}
"""Each state and the schema of its old name."""

ADDS = ("only_the_old_table", "no_old_table")
"""States in which the upgrade makes tables that a downgrade leaves."""


def old_rows(dsn: Dsn, schema: str) -> dict[int, str]:
    if ask(dsn, "select to_regclass(%s)", f"{schema}.audit_logs") == [(None,)]:
        return {}
    return dict(ask(dsn, f"select id, a::text from {schema}.audit_logs as a"))


def old_types(dsn: Dsn, schema: str) -> list[tuple[str, str]]:
    with connect(dsn) as connection:
        return [(c.name, c.type) for c in read_columns(connection, f"{schema}.audit_logs")]


@pytest.mark.parametrize("state", CARRIED)
def test_a_state_is_carried_there_and_back_and_there_again(
    each_server: Server, state: str, set_setting: SetSetting
) -> None:
    schema = CARRIED[state]
    set_setting("legacy_schema", schema)
    dsn = each_server.state(state)
    before, rows, types = dump(dsn), old_rows(dsn, schema), old_types(dsn, schema)

    revisions.upgrade(dsn)
    quarantined = {id_ for (id_,) in ask(dsn, "select legacy_id from ledger.audit_quarantine")}
    matched = {id_ for (id_,) in ask(dsn, "select legacy_id from ledger.audit_matches")}
    # Of a request that both logged the gateway's own time is shown.
    shown = {id_: row for id_, row in rows.items() if id_ not in quarantined | matched}
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(len(rows), True)]
    assert_shown(dsn, schema, shown, matched)
    assert old_types(dsn, schema) == (types or old_types(dsn, schema))
    assert omniledger(dsn, "merge", "verify", "--json").document()["damage"] == []

    revisions.downgrade(dsn, "base")
    after = dump(dsn)
    if state in ADDS:
        assert set(before) <= set(after)
    else:
        assert without_start(after) == without_start(before)
    assert old_rows(dsn, schema) == rows

    revisions.upgrade(dsn)
    assert_shown(dsn, schema, shown, matched)


def assert_shown(dsn: Dsn, schema: str, shown: dict[int, str], matched: set[int]) -> None:
    now = old_rows(dsn, schema)
    assert now.keys() == shown.keys() | matched
    assert {id_: row for id_, row in now.items() if id_ not in matched} == shown


def without_start(lines: list[str]) -> list[str]:
    """A sequence that was made anew begins where the old one was."""
    return [line for line in lines if "START WITH" not in line]


REFUSED = {
    "it is partitioned": "drop table public.audit_logs; create table public.audit_logs"
    " (id integer primary key, message text, created_at timestamptz) partition by range (id)",
    "it is the child of": "create table public.everything (id integer);"
    " alter table public.audit_logs inherit public.everything",
    "it is the parent of audit_logs_2025": "create table public.audit_logs_2025 ()"
    " inherits (public.audit_logs)",
    "it is a view that the upgrade did not make": "drop table public.audit_logs;"
    " create view public.audit_logs as select 1 as id",
    "it is a materialized view": "drop table public.audit_logs;"
    " create materialized view public.audit_logs as select 1 as id",
    "the materialized view daily reads it": "create view public.v as"
    " select created_at from public.audit_logs;"
    " create materialized view public.daily as select created_at from public.v",
    "it has row level security": "alter table public.audit_logs enable row level security",
    "the rule r is on audit_logs": "create rule r as on delete to public.audit_logs"
    " do instead nothing",
    "it is part of the publication p": "create publication p for table public.audit_logs",
    "its schema is part of the publication p": "create publication p for tables in schema public",
    "the foreign key audit_logs_parent_fkey of audit_logs references more": "alter table"
    " public.audit_logs add parent integer references public.audit_logs (id)",
    "its trigger t fires for each statement": "create function public.f() returns trigger"
    " language plpgsql as 'begin return null; end'; create trigger t after insert on"
    " public.audit_logs for each statement execute function public.f()",
    "its trigger t is a constraint trigger": "create function public.f() returns trigger"
    " language plpgsql as 'begin return null; end'; create constraint trigger t after insert on"
    " public.audit_logs for each row execute function public.f()",
    "its trigger t calls a function written in internal": "create trigger t before update on"
    " public.audit_logs for each row execute function suppress_redundant_updates_trigger()",
    "its trigger t asks for tg_table_name": "create function public.f() returns trigger language"
    " plpgsql as 'begin raise notice ''%'', tg_table_name; return new; end'; create trigger t"
    " before insert on public.audit_logs for each row execute function public.f()",
    "its trigger t asks for pg_trigger_depth": "create function public.f() returns trigger language"
    " plpgsql as 'begin return new; end'; create trigger t before insert on public.audit_logs"
    " for each row when (pg_trigger_depth() = 0) execute function public.f()",
    "its trigger t gives rows their id, which has no default": "alter table public.audit_logs"
    " alter id drop default; create function public.f() returns trigger language plpgsql as"
    " 'begin if new.id is null then new.id := 1; end if; return new; end'; create trigger t"
    " before insert on public.audit_logs for each row execute function public.f()",
    "its id is no key": "alter table public.audit_logs drop constraint audit_logs_pkey",
    "its column id is no integer": "alter table public.audit_logs alter id drop default,"
    " alter id type text",
    "it has no column id": "alter table public.audit_logs drop id",
    "its column user_id is text": "alter table public.audit_logs"
    " drop constraint audit_logs_user_id_fkey, alter user_id type text",
    "it has no column created_at or timestamp": "alter table public.audit_logs drop created_at",
    "it has no column message": "alter table public.audit_logs drop message",
    "its column created_at is bigint": "alter table public.audit_logs"
    " alter created_at drop default, alter created_at type bigint using 0",
    "its column cost_estimate is jsonb": "alter table public.audit_logs"
    " alter cost_estimate drop default, alter cost_estimate type jsonb using '{}'",
    "its column omniledger_0 has a name that the upgrade needs": "alter table public.audit_logs"
    " add omniledger_0 integer",
    "its column other is an identity beside the id": "alter table public.audit_logs"
    " add other integer generated always as identity",
    "has a per cent sign": 'alter table public.audit_logs add "100%" integer',
    "the function newest() takes or returns its rows": "create function public.newest()"
    " returns public.audit_logs language sql as 'select * from public.audit_logs limit 1'",
    "the column entry of table history is of the type of its rows": "create table public.history"
    " (entry public.audit_logs)",
    "the type kept is of the type of its rows": "create domain public.kept as public.audit_logs []",
    "the view nothing is of the type of its rows": "create view public.nothing as"
    " select null::public.audit_logs as entry",
    "the function days() takes or returns rows of v_day as a type": "create view public.v_day as"
    " select created_at from public.audit_logs; create function public.days()"
    " returns setof public.v_day language sql as 'select * from public.v_day'",
    "the column entry of table days is of the type of rows of v_day": "create view public.v_day as"
    " select created_at from public.audit_logs; create table public.days (entry public.v_day [])",
    "the view v_some reads a sample of it": "create view public.v_some as"
    " select a.id from public.users as u, public.audit_logs as a tablesample system (100)",
    "the view v_place reads its ctid": "create view public.v_place as"
    " select ctid as place from public.audit_logs",
    "function newest_id() is bound to audit_logs": "create function public.newest_id()"
    " returns integer language sql begin atomic select max(id) from public.audit_logs; end",
    "policy p on table users is bound to audit_logs": "create policy p on public.users using"
    " (id in (select user_id from public.audit_logs))",
    "its column cost_usd must be converted and the materialized view costs reads": "alter table"
    " omni2.audit_logs add cost_usd float8; create materialized view public.costs as"
    " select cost_usd from omni2.audit_logs",
    "its column source_system, made by hand": "alter table omni2.audit_logs add source_system text",
    "its column mcps_accessed, made by hand, is jsonb": "alter table omni2.audit_logs"
    " add mcps_accessed jsonb",
    "omni2.mcp_health_log can't be upgraded yet, because it is partitioned": "drop table"
    " omni2.mcp_health_log; create table omni2.mcp_health_log (timestamp timestamptz)"
    " partition by range (timestamp)",
    "omni2.audit_logs can't be upgraded yet, because it is a view": "alter table omni2.audit_logs"
    " rename to log; create view omni2.audit_logs as select * from omni2.log",
    "it is the parent of omni2.audit_logs_2025": "create table omni2.audit_logs_2025 ()"
    " inherits (omni2.audit_logs)",
    "its column timestamp is timestamp without time zone, not timestamp with": "alter table"
    " omni2.audit_logs alter timestamp type timestamp",
    "omni2.mcp_health_log can't be upgraded yet, because it has no column event_type": "alter table"
    " omni2.mcp_health_log drop event_type",
    "omni2.mcp_servers can't be upgraded yet, because its column id is text": "drop table"
    " omni2.mcp_servers cascade; create view omni2.mcp_servers as select 'a' as id, 'b' as name",
    "auth_service.users can't be upgraded yet, because it has no column email": "alter table"
    " auth_service.users drop email",
    "its unique index once is over an expression": "create unique index once on public.audit_logs"
    " (lower(message))",
    "its unique constraint once is deferrable": "alter table public.audit_logs"
    " add constraint once unique (message) deferrable",
    "its unique index once takes rows without a value for doubles": "create unique index once"
    " on public.audit_logs (message) nulls not distinct",
    "its primary key holds the column timestamp": "alter table omni2.audit_logs"
    " drop constraint audit_logs_pkey, add primary key (id, timestamp)",
    "its replica identity holds the column question": "create unique index i on omni2.audit_logs"
    " (id, question); alter table omni2.audit_logs replica identity using index i",
    "the publication p has rows of it only": "create publication p for table omni2.audit_logs"
    " where (success)",
    "the publication p has columns of it only": "create publication p for table omni2.audit_logs"
    " (question)",
    "the publication p has its changes, and nothing names its rows": "alter table"
    " omni2.audit_logs drop constraint audit_logs_pkey; create publication p for all tables",
    "the publication of_it has its changes, and nothing names its rows": "alter table"
    " omni2.audit_logs replica identity nothing;"
    " create publication of_it for table omni2.audit_logs with (publish = 'insert, delete')",
    "its exclusion constraint once is more than": "alter table public.audit_logs add constraint"
    " once exclude using btree (message with =)",
    "its column second is a serial beside the id": "alter table public.audit_logs"
    " add second serial",
    "the view of_each groups by its key": "create view public.of_each as"
    " select id, message, count(*) as n from public.audit_logs group by id",
    "it has 801 columns": "do $$ begin for i in 26..801 loop"
    " execute format('alter table public.audit_logs add c%s integer', i); end loop; end $$",
    "its unique index once would bind the rows of the old name": "create unique index once"
    " on omni2.audit_logs (slack_message_ts)",
    "its index i has no room for the long values of question": "create index i on omni2.audit_logs"
    " (user_id, question)",
    "its index j has no room for the long values of question": "create index j on omni2.audit_logs"
    " (user_id) include (question)",
    "its exclusion constraint once would bind": "alter table omni2.audit_logs add constraint once"
    " exclude using btree (question with =)",
    "its check positive would bind the rows of the old name": "alter table omni2.audit_logs"
    " add constraint positive check (duration_ms >= 0)",
    "its foreign key to_users would delete": "alter table omni2.audit_logs add constraint to_users"
    " foreign key (user_id) references auth_service.users (id) on delete cascade",
    "its foreign key to_channels would bind": "create table public.channels"
    " (name text primary key); alter table omni2.audit_logs alter slack_channel type text,"
    " add constraint to_channels foreign key (slack_channel) references public.channels (name)",
    "its column message_preview is generated": "alter table omni2.audit_logs"
    " add message_preview text generated always as (left(question, 9)) stored",
    "its id has no default": "alter table omni2.audit_logs alter id drop default",
    "its sequence omni2.audit_logs_id_seq is at 3, behind its highest id 9": "insert into"
    " omni2.audit_logs (id, question, success) values (9, 'a', true);"
    " select setval('omni2.audit_logs_id_seq', 3)",
    "its sequence omni2.audit_logs_id_seq has 7 ids left": "alter table omni2.audit_logs alter id"
    " type smallint; alter sequence omni2.audit_logs_id_seq as smallint;"
    " select setval('omni2.audit_logs_id_seq', 32760);"
    " insert into public.audit_logs (message) select 'a' from generate_series(1, 4)",
    "its sequence omni2.audit_logs_id_seq has 2 ids left": "alter sequence omni2.audit_logs_id_seq"
    " maxvalue 30 cycle; select setval('omni2.audit_logs_id_seq', 28);"
    " insert into public.audit_logs (message) select 'a' from generate_series(1, 2)",
    "its column mcps_accessed is of the domain few, which demands something": "create domain"
    " public.few as text [] check (cardinality(value) < 9);"
    " alter table omni2.audit_logs add mcps_accessed public.few",
    "its trigger t would change or refuse the rows of the old name": "create function public.f()"
    " returns trigger language plpgsql as 'begin new.success := true; return new; end';"
    " create trigger t before insert on omni2.audit_logs for each row execute function public.f()",
    "audit_logs can't be merged yet, because it is unlogged": "alter table public.audit_logs"
    " set unlogged",
    "omni2.audit_logs can't be upgraded yet, because it is unlogged": "alter table"
    " omni2.audit_logs set unlogged",
    "its rule r would change what is written there": "create rule r as on insert to"
    " omni2.audit_logs do also notify written",
    "its column llm_tokens_used is text": "alter table omni2.audit_logs"
    " alter llm_tokens_used type text",
}


SINCE = {
    "function newest_id() is bound to audit_logs": 14,
    "its schema is part of the publication p": 15,
    "its unique index once takes rows without a value for doubles": 15,
    "the publication p has rows of it only": 15,
    "the publication p has columns of it only": 15,
}
"""The version of PostgreSQL that brought it."""


@pytest.mark.parametrize("why", REFUSED)
def test_what_can_not_be_carried_is_named_with_the_way_out(untouched: Dsn, why: str) -> None:
    requires(untouched, SINCE.get(why, 13))
    with as_gateway(untouched) as connection:
        connection.execute(REFUSED[why].encode())
        with pytest.raises(NotReadyError, match="nothing was changed: see what to do") as refused:
            inspect(connection, "public")
        assert why in str(refused.value)
        connection.rollback()


LOOSE = (
    "alter table omni2.audit_logs add tenant text; alter table omni2.audit_logs alter tenant"
    " set not null",
    "alter table omni2.audit_logs alter user_id set not null, alter was_blocked set not null,"
    " alter was_blocked set default false",
    "alter table omni2.audit_logs add status character varying(50) not null default 'x'",
)
"""What must not be without a value in the ledger, and may be in the old table."""


@pytest.mark.parametrize("demand", LOOSE)
def test_what_the_ledger_demands_is_not_demanded_of_the_old_names_rows(
    server: Server, demand: str
) -> None:
    dsn = server.state("gateway")
    ask(dsn, "insert into public.audit_logs (message, status) values ('a', null)")
    ask(dsn, demand)
    ask(dsn, "select setval('omni2.audit_logs_id_seq', 1)")
    before = dump(dsn)
    revisions.upgrade(dsn)
    ask(dsn, "insert into public.audit_logs (message, status) values ('b', null)")
    assert ask(dsn, "select message, status from public.audit_logs order by id") == [
        ("a", None),
        ("b", None),
    ]
    assert omniledger(dsn, "merge", "verify").code == 0
    ask(dsn, "delete from public.audit_logs where message = 'b'")
    ask(dsn, "select setval('public.audit_logs_id_seq', 1), setval('omni2.audit_logs_id_seq', 1)")
    revisions.downgrade(dsn, "base")
    assert without_start(dump(dsn)) == without_start(before)


def test_a_merge_that_has_used_up_a_part_of_the_ids_goes_on(server: Server) -> None:
    """There were as many to spare as there are old rows, which its own copies don't count for."""
    dsn = server.state("investigation")
    ask(dsn, "alter sequence omni2.audit_logs_id_seq as integer maxvalue 1022")
    ask(dsn, "select setval('omni2.audit_logs_id_seq', 1000)")
    with killed_at(run, "cut_over"):
        revisions.upgrade(dsn)
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]


def test_ids_that_get_more_room_stop_no_upgrade(server: Server) -> None:
    dsn = server.state("investigation")
    ask(
        dsn,
        "alter table omni2.audit_logs alter id type smallint;"
        " alter sequence omni2.audit_logs_id_seq as smallint",
    )
    ask(dsn, "select setval('omni2.audit_logs_id_seq', 32767)")
    with pytest.raises(NotReadyError, match="audit_logs_id_seq has 0 ids left"):
        revisions.upgrade(dsn)
    ask(
        dsn,
        "alter table omni2.audit_logs alter id type bigint;"
        " alter sequence omni2.audit_logs_id_seq as bigint",
    )
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(11, True)]


KEPT_FOR_THE_GATEWAY = (
    "create index on omni2.audit_logs (llm_reasoning); create index on omni2.audit_logs"
    " (slack_channel); create index on omni2.audit_logs (left(question, 500));"
    " create index on omni2.audit_logs using hash (question)",
    "create unique index once on omni2.audit_logs (error_id)",
    "alter table omni2.audit_logs add check (llm_confidence >= 0)",
    "alter table omni2.audit_logs add foreign key (user_id) references auth_service.users (id)",
    "alter table omni2.audit_logs add made text generated always as (llm_reasoning) stored",
    "create domain public.kind as text check (value <> ''); alter table omni2.audit_logs"
    " alter error_id type public.kind",
    "create function public.f() returns trigger language plpgsql as 'begin return new; end';"
    " create trigger t after insert or update on omni2.audit_logs for each row"
    " execute function public.f()",
)
"""What binds the gateway's own rows alone."""


@pytest.mark.parametrize("bound", KEPT_FOR_THE_GATEWAY)
def test_what_binds_the_gateways_rows_alone_stays(server: Server, bound: str) -> None:
    dsn = server.state("investigation")
    ask(dsn, bound)
    before = dump(dsn)
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
    revisions.downgrade(dsn, "base")
    assert without_start(dump(dsn)) == without_start(before)


SERVED = (
    "create publication p for table omni2.audit_logs where (id > 5)",
    "create publication p for table omni2.audit_logs (id, question)",
    "create publication p for table omni2.audit_logs where (success)"
    " with (publish = 'insert, truncate')",
    "alter table omni2.audit_logs replica identity full;"
    " create publication p for table omni2.audit_logs where (success)",
)
"""Publications of a part of the ledger that forbid no update."""


@pytest.mark.parametrize("publication", SERVED)
def test_a_publication_that_forbids_no_update_stops_no_upgrade(
    server: Server, publication: str
) -> None:
    requires(server.dsn, 15)
    dsn = server.state("investigation")
    ask(dsn, publication)
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds from ledger.merge_runs") == [(True,)]
    revisions.downgrade(dsn, "base")


@pytest.mark.parametrize("table", ["public.audit_logs", "omni2.audit_logs"])
def test_a_table_that_a_subscription_writes_is_refused(server: Server, table: str) -> None:
    with connect(server.state("gateway")) as connection:
        # What it would do once it could connect is in the catalog, and nothing has to answer.
        connection.execute(
            "create subscription s connection 'host=nowhere' publication p with (connect = false)"
        )
        connection.execute("set local allow_system_table_mods = on")
        connection.execute(
            "insert into pg_subscription_rel (srsubid, srrelid, srsubstate)"
            " select oid, %s::regclass, 'r' from pg_subscription where subname = 's'",
            (table,),
        )
        with pytest.raises(NotReadyError, match="because the subscription s writes it; nothing"):
            inspect(connection, "public")
        connection.rollback()


OWNED = """
do $$
declare
    owned record;
begin
    for owned in
        select c.oid::regclass as name
        from pg_class as c
        where
            c.relnamespace::regnamespace::text in ('public', 'omni2', 'auth_service')
            and c.relkind = 'r'
    loop
        execute format('alter table %s owner to {role}', owned.name);
    end loop;
end $$;
grant create on database {dbname} to {role};
alter schema public owner to {role};
alter schema omni2 owner to {role};
alter schema auth_service owner to {role}
"""


@pytest.fixture
def owner(server: Server) -> Iterator[Dsn]:
    """A gateway in the state `investigation` whose owner is no superuser."""
    dsn = server.state("investigation")
    role = f"owner_{dsn.dbname}"
    ask(dsn, f"create role {role} login password 'secret'")
    ask(dsn, OWNED.replace("{role}", role).replace("{dbname}", dsn.dbname))
    yield dataclasses.replace(dsn, user=role, password="secret")  # noqa: S106 (ends with its test)
    ask(dsn, f"drop owned by {role} cascade")
    ask(dsn, f"drop role {role}")


@pytest.mark.parametrize(
    "table", ["omni2.audit_logs", "omni2.mcp_servers", "auth_service.users", "public.users"]
)
def test_rows_that_a_policy_may_hide_from_us_are_named_before_any_change(
    owner: Dsn, table: str
) -> None:
    ask(owner, f"alter table {table} enable row level security, force row level security")
    before = columns_everywhere(owner)
    with pytest.raises(
        NotReadyError, match=f"(the|its) row level security (of {table}, .* )?is for {owner.user}"
    ):
        revisions.upgrade(owner)
    assert columns_everywhere(owner) == before
    ask(owner, f"alter table {table} no force row level security")
    revisions.upgrade(owner)
    assert ask(owner, "select holds from ledger.merge_runs") == [(True,)]


def test_rows_that_a_policy_hides_after_the_upgrade_are_no_matter_of_the_owner(owner: Dsn) -> None:
    revisions.upgrade(owner)
    ask(
        owner,
        "alter table omni2.audit_logs enable row level security, force row level security",
    )
    said = omniledger(owner, "merge", "verify")
    assert said.code == 4
    assert (
        f"{owner.user} may not see every row: query would be affected by row-level" in said.refusal
    )
    assert f"`alter role {owner.user} bypassrls`" in said.refusal


def test_a_view_of_another_role_is_named_with_the_grant_that_helps(
    server: Server, owner: Dsn
) -> None:
    admin, reporter = dataclasses.replace(server.dsn, dbname=owner.dbname), f"of_{owner.dbname}"
    ask(owner, "create view public.by_user as select user_id from public.audit_logs")
    ask(owner, "create view public.users_seen as select distinct user_id from public.by_user")
    ask(admin, f"create role {reporter}; alter view public.users_seen owner to {reporter}")
    try:
        before = columns_everywhere(admin)
        refused = (
            f"users_seen again, which belongs to {reporter}: `grant {reporter} to {owner.user}"
        )
        with pytest.raises(NotReadyError, match=refused):
            revisions.upgrade(owner)
        said = omniledger(owner, "inspect", "--json").output
        assert f"it must be run as {' and '.join(sorted((owner.user, reporter)))}" in said
        ask(admin, f"grant {reporter} to {owner.user}")
        create = f"`grant create on schema public to {reporter}`"
        with pytest.raises(NotReadyError, match=create):
            revisions.upgrade(owner)
        assert columns_everywhere(admin) == before
        ask(admin, create.strip("`"))
        revisions.upgrade(owner)
        ask(admin, f"revoke {reporter} from {owner.user}")
        with pytest.raises(NotReadyError, match=refused):
            revisions.downgrade(owner, "0006")
        ask(admin, f"grant {reporter} to {owner.user}")
        revisions.downgrade(owner, "base")
        assert ask(
            owner, "select pg_get_userbyid(relowner) from pg_class where relname = 'users_seen'"
        ) == [(reporter,)]
    finally:
        ask(admin, f"drop owned by {reporter} cascade; drop role {reporter}")


FORBIDS = """
create function public.forbid() returns event_trigger language plpgsql
as $$ begin raise exception 'nothing is dropped here'; end $$;
create event trigger guard_{dbname} on ddl_command_start when tag in ('DROP TABLE')
execute function public.forbid()
"""


def test_a_temporary_view_of_an_open_session_is_named_before_any_change(server: Server) -> None:
    """Only its own session can make it again."""
    dsn = server.state("investigation")
    before = dump(dsn)
    with connect(dsn, autocommit=True) as session:
        session.execute("create temporary view mine as select id from public.audit_logs")
        with pytest.raises(NotReadyError, match=r"temporary view pg_temp_\d+\.mine, of a"):
            revisions.upgrade(dsn)
        session.execute("drop view mine")
        assert dump(dsn) == before
        revisions.upgrade(dsn)


def test_an_event_trigger_that_forbids_a_step_is_named_before_any_change(server: Server) -> None:
    dsn = server.state("investigation")
    ask(dsn, FORBIDS.replace("{dbname}", dsn.dbname))
    before = columns_everywhere(dsn)
    with pytest.raises(NotReadyError) as refused:
        revisions.upgrade(dsn)
    assert str(refused.value) == (
        f"An event trigger of this database (guard_{dsn.dbname}) forbids what the upgrade has to"
        " do: nothing is dropped here; nothing was changed: `alter event trigger ... disable` it,"
        " and enable it when the upgrade is done."
    )
    assert columns_everywhere(dsn) == before
    ask(dsn, f"alter event trigger guard_{dsn.dbname} disable")
    revisions.upgrade(dsn)


GIVES_AWAY = """
create role keeper_{dbname};
create function public.give_away() returns event_trigger language plpgsql
as $$
declare
    made record;
begin
    for made in select * from pg_event_trigger_ddl_commands() loop
        execute format('alter view %s owner to keeper_{dbname}', made.object_identity);
    end loop;
end $$;
create event trigger keep_{dbname} on ddl_command_end when tag in ('CREATE VIEW')
execute function public.give_away()
"""


def test_a_view_that_somebody_else_gets_is_not_left_in_the_place_of_the_table(
    server: Server,
) -> None:
    dsn = server.state("investigation")
    ask(dsn, GIVES_AWAY.replace("{dbname}", dsn.dbname))
    try:
        with pytest.raises(NotReadyError, match=f"gave the view .* to keeper_{dsn.dbname}, who"):
            revisions.upgrade(dsn)
        ask(dsn, "insert into public.audit_logs (message) values ('meanwhile')")
        ask(dsn, f"alter event trigger keep_{dsn.dbname} disable")
        revisions.upgrade(dsn)
        ask(dsn, "insert into public.audit_logs (message) values ('since')")
        assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(12, True)]
    finally:
        ask(dsn, f"drop event trigger keep_{dsn.dbname}")
        ask(dsn, f"drop owned by keeper_{dsn.dbname}; drop role keeper_{dsn.dbname}")


@pytest.fixture(scope="module")
def untouched(server: Server) -> Dsn:
    return server.state("gateway")


@pytest.mark.parametrize("why", ["it is partitioned", "its column mcps_accessed, made by hand"])
def test_a_refused_upgrade_has_changed_nothing(server: Server, why: str) -> None:
    dsn = server.state("gateway")
    ask(dsn, next(change for reason, change in REFUSED.items() if reason.startswith(why)))
    before = columns_everywhere(dsn)
    with pytest.raises(NotReadyError, match=why):
        revisions.upgrade(dsn)
    assert columns_everywhere(dsn) == before


TAKEN = {
    "the schema ledger holds ledger.runs": "create schema ledger;"
    " create table ledger.runs (id integer)",
    "the schema analytics holds analytics.facts": "create schema analytics;"
    " create table analytics.facts (day date)",
    "the schema analytics_build holds analytics_build.v": "create schema analytics_build;"
    " create view analytics_build.v as select 1 as one",
    "omni2.omniledger_audit_logs_legacy_id is there": "create index omniledger_audit_logs_legacy_id"
    " on omni2.audit_logs (error_id)",
    "omni2.mcp_health_log has a column change_xid": "alter table omni2.mcp_health_log"
    " add change_xid bigint",
}
"""What is somebody else's, and would be taken for the upgrade's own."""


@pytest.mark.parametrize("what", TAKEN)
def test_a_name_that_is_somebody_elses_is_named_before_any_change(
    server: Server, what: str
) -> None:
    dsn = server.state("gateway")
    ask(dsn, TAKEN[what])
    before = dump(dsn)
    with pytest.raises(NotReadyError, match=f"names that are somebody else's: {what}; nothing was"):
        revisions.upgrade(dsn)
    assert dump(dsn) == before
    assert ask(dsn, "select to_regclass('ledger.alembic_version') is null") == [(True,)]
    with connect(dsn) as connection, pytest.raises(NotReadyError, match=what):
        inspect(connection, "public")


def test_figures_of_before_the_ledger_was_dropped_are_ours(server: Server) -> None:
    dsn = server.state("gateway")
    ask(
        dsn,
        "create schema analytics; create table analytics.fct_daily_usage (usage_date date);"
        " create table analytics.fct_daily_quota (usage_date date)",
    )
    revisions.upgrade(dsn)
    assert omniledger(dsn, "merge", "verify").code == 0


def columns_everywhere(dsn: Dsn) -> list[tuple[str, ...]]:
    return ask(
        dsn,
        "select table_schema, table_name, column_name, data_type from information_schema.columns"
        " where table_name <> 'alembic_version' and table_schema !~ '^pg_' order by 1, 2, 3",
    )


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("nowhere", "there is no schema nowhere"),
        ("omni2", "the ledger itself"),
        ("ledger", "the upgrade's own tables"),
        ("analytics", "the published figures"),
        ("analytics_build", "the figures that a run builds"),
        ("auth_service", "the gateway's users"),
        ("pg_catalog", "the server"),
        ("information_schema", "the server"),
        ("50%", "the name of the schema 50% has a per cent sign"),
    ],
)
def test_a_wrong_schema_is_named_before_any_change(
    server: Server, set_setting: SetSetting, schema: str, why: str
) -> None:
    set_setting("legacy_schema", schema)
    dsn = server.state("gateway")
    before = columns_everywhere(dsn)
    with pytest.raises(SettingsError, match=f"OMNILEDGER_LEGACY_SCHEMA is wrong: .*{why}"):
        revisions.upgrade(dsn)
    assert columns_everywhere(dsn) == before
    assert ask(dsn, "select to_regnamespace('ledger') is null") == [(True,)]


def test_a_role_that_owns_nothing_is_told_whose_the_tables_are(server: Server) -> None:
    dsn = server.state("gateway")
    role = f"stranger_{dsn.dbname}"
    ask(
        dsn,
        f"create role {role} login password 'secret'; grant create on database"
        f" {dsn.dbname} to {role}; grant usage on schema omni2 to {role}",
    )
    try:
        with pytest.raises(
            NotReadyError, match=rf"{role} may not change .*audit_logs, which belong"
        ):
            revisions.upgrade(dataclasses.replace(dsn, user=role, password="secret"))  # noqa: S106
    finally:
        ask(dsn, f"drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("state", ["lineage_with_search", "cost_float_by_hand", "odd_columns"])
@pytest.mark.parametrize("revision", ["0003", "0006"])
def test_an_upgrade_that_ended_between_revisions_goes_on(
    server: Server, state: str, revision: str
) -> None:
    dsn = server.state(state)
    revisions.upgrade(dsn, revision)
    rows = old_rows(dsn, "public")
    revisions.upgrade(dsn)
    assert ask(dsn, "select rows_total, holds from ledger.merge_runs") == [(len(rows), True)]


def test_a_conversion_that_is_killed_goes_on(server: Server) -> None:
    dsn = server.state("cost_float_by_hand")
    for step in ("_fill", "_swap"):
        with killed_at(hand_made, step):
            revisions.upgrade(dsn)
        ask(
            dsn,
            "insert into omni2.audit_logs (question, success, cost_usd)"
            " values ('meanwhile', true, 0.2)",
        )
    revisions.upgrade(dsn)
    assert (
        ask(dsn, "select cost_usd from omni2.audit_logs where question = 'meanwhile'")
        == [(Decimal("0.2"),)] * 2
    )
