"""Foreign keys of the old table, and to it, do after the upgrade what they did before."""

import psycopg
import pytest

from migrations.fingerprint import read_fingerprint
from omniledger import revisions
from omniledger.database import connect
from omniledger.errors import NotReadyError
from tests.conftest import Server, ask, requires, version
from tests.migrations.dumps import dump
from tests.migrations.operator import omniledger

CERTIFIED = "select rows_total, holds from ledger.merge_runs"

PARTITIONED_USERS = """
    alter table public.audit_logs drop constraint audit_logs_user_id_fkey;
    drop table public.users;
    create table public.users (id integer primary key, email varchar(255), name text)
    partition by hash (id);
    create table public.users_0 partition of public.users
    for values with (modulus 2, remainder 0);
    create table public.users_1 partition of public.users
    for values with (modulus 2, remainder 1);
    insert into public.users
    select id, id || '@example.com', 'name' from generate_series(101, 120) as id;
    insert into auth_service.users (id, email) values (1, '101@example.com');
    alter table public.audit_logs add constraint audit_logs_user_id_fkey
    foreign key (user_id) references public.users (id) on delete set null {};
    insert into public.audit_logs (user_id, message)
    select id, 'a' from generate_series(101, 120) as id;
"""


@pytest.mark.parametrize("checked", ["", "not valid"])
def test_users_may_be_partitioned(each_server: Server, checked: str) -> None:
    dsn = each_server.state("gateway")
    ask(dsn, PARTITIONED_USERS.format(checked))
    before = dump(dsn, "--schema-only")
    revisions.upgrade(dsn)
    assert ask(dsn, CERTIFIED) == [(20, True)]
    assert ask(
        dsn,
        "select confrelid::regclass::text, convalidated from pg_constraint"
        " where conrelid = 'omni2.audit_logs'::regclass and contype = 'f' and conparentid = 0",
    ) == [("users", not checked)]
    assert ask(dsn, "select user_id from omni2.audit_logs where legacy_user_id = 101") == [(1,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ask(dsn, "insert into audit_logs (user_id, message) values (999, 'nobody')")
    ask(dsn, "insert into audit_logs (user_id, message) values (101, 'b'), (102, 'c')")
    ask(dsn, "delete from public.users where id in (101, 103)")
    assert ask(dsn, "select count(*) from audit_logs where user_id is null") == [(3,)]
    assert omniledger(dsn, "merge", "verify").code == 0
    revisions.downgrade(dsn, "base")
    assert dump(dsn, "--schema-only") == before
    assert ask(dsn, "select count(*), count(user_id) from public.audit_logs") == [(22, 19)]


def test_another_partition_of_users_is_no_change_of_the_old_table(server: Server) -> None:
    with connect(server.state("gateway")) as connection:
        connection.execute(PARTITIONED_USERS.format("").encode())
        connection.execute("update public.audit_logs set user_id = null")
        connection.execute("alter table public.users detach partition public.users_1")
        before = read_fingerprint(connection, "public.audit_logs")
        connection.execute(
            "alter table public.users attach partition public.users_1"
            " for values with (modulus 2, remainder 1)"
        )
        assert read_fingerprint(connection, "public.audit_logs") == before
        connection.rollback()


PARTITIONED_NOTES = """
    create table public.notes (id integer, request integer) partition by range (id);
    create table public.notes_low partition of public.notes for values from (0) to (10);
    create table public.notes_high partition of public.notes for values from (10) to (20)
    partition by range (id);
    create table public.notes_top partition of public.notes_high for values from (10) to (20);
    insert into public.notes values (1, 102), (11, 103);
"""

BY_NOTES = """
    alter table public.notes add constraint by_request
    foreign key (request) references {} on delete cascade
"""

TO_OLD_IDS, TO_LEGACY_IDS = "public.audit_logs (id)", "omni2.audit_logs (legacy_id)"

REFERENCED = """
    select distinct confrelid::regclass::text, convalidated
    from pg_constraint
    where contype = 'f' and conrelid::regclass::text like 'notes%%'
"""


def test_a_partitioned_table_that_references_old_ids_goes_on_where_the_server_can(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    requires(dsn, 18)
    ask(dsn, PARTITIONED_NOTES + BY_NOTES.format(TO_OLD_IDS))
    before = dump(dsn)
    revisions.upgrade(dsn)
    assert ask(dsn, REFERENCED) == [("omni2.audit_logs", True)]
    revisions.downgrade(dsn, "base")
    assert dump(dsn) == before
    assert ask(dsn, REFERENCED) == [("audit_logs", True)]


@pytest.mark.parametrize("option", ["", "merge=later"])
def test_a_partitioned_table_that_references_old_ids_is_named_where_the_server_can_not(
    each_server: Server, option: str
) -> None:
    dsn = each_server.state("investigation")
    if version(dsn) >= 18:
        pytest.skip("it is carried there")
    ask(dsn, PARTITIONED_NOTES + BY_NOTES.format(TO_OLD_IDS))
    before = dump(dsn)
    with pytest.raises(
        NotReadyError, match="the foreign key by_request is of notes, which is partitioned; nothing"
    ):
        revisions.upgrade(dsn, "head", *[option] * bool(option))
    assert dump(dsn) == before


def test_a_partitioned_table_that_references_the_ledger_goes_back_with_it(
    each_server: Server,
) -> None:
    """The way out of what is refused is one, and stops no way back."""
    dsn = each_server.state("investigation")
    ask(dsn, PARTITIONED_NOTES)
    revisions.upgrade(dsn)
    to_ledger = BY_NOTES.format(TO_LEGACY_IDS)
    for partition in ("notes_low", "notes_top"):
        ask(dsn, to_ledger.replace("public.notes", f"public.{partition}") + " not valid")
        ask(dsn, f"alter table public.{partition} validate constraint by_request")
    ask(dsn, to_ledger)
    assert ask(
        dsn,
        "select conrelid::regclass::text from pg_constraint"
        " where confrelid = 'omni2.audit_logs'::regclass and conparentid = 0",
    ) == [("notes",)]
    revisions.downgrade(dsn, "base")
    assert ask(dsn, REFERENCED) == [("audit_logs", True)]
    ask(dsn, "delete from public.audit_logs where id = 102")
    assert ask(dsn, "select request from public.notes") == [(103,)]


TENANTS = """
    create table public.people (tenant integer, id integer, primary key (tenant, id));
    insert into public.people values (1, 1), (1, 2);
    alter table public.audit_logs
    drop constraint audit_logs_user_id_fkey, add tenant integer not null default 1;
    update public.audit_logs set user_id = 1 where id <> 102;
    update public.audit_logs set user_id = 2 where id = 102;
    alter table public.audit_logs add constraint "by (user_id)"
    foreign key (tenant, user_id) references public.people (tenant, id)
    on delete set null (user_id) deferrable;
"""


def test_a_key_that_forgets_some_of_its_columns_goes_on_forgetting_those(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    requires(dsn, 15)
    ask(dsn, TENANTS)
    before = dump(dsn, "--schema-only")
    revisions.upgrade(dsn)
    ask(dsn, "delete from public.people where id = 2")
    assert ask(dsn, "select tenant, user_id from audit_logs where id = 102") == [(1, None)]
    revisions.downgrade(dsn, "base")
    assert dump(dsn, "--schema-only") == before
    ask(dsn, "delete from public.people where id = 1")
    assert ask(dsn, "select distinct tenant, user_id from audit_logs") == [(1, None)]


CONVERSATIONS = """
    create table public.conv (id integer primary key);
    insert into public.conv values (0), (5);
    alter table public.audit_logs
    add conv_id integer {} constraint by_conv references public.conv on {} set default;
    update public.audit_logs set conv_id = 5 where id = 102;
"""


@pytest.mark.parametrize("event", ["delete", "update"])
def test_a_key_that_sets_a_default_is_named_before_any_change(
    each_server: Server, event: str
) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, CONVERSATIONS.format("default 0", event))
    before = dump(dsn)
    with pytest.raises(NotReadyError, match="its foreign key by_conv sets a default; nothing was"):
        revisions.upgrade(dsn)
    assert dump(dsn) == before


@pytest.mark.parametrize("default", ["", "default null::integer"])
def test_a_key_whose_default_is_no_value_goes_on_setting_none(
    each_server: Server, default: str
) -> None:
    dsn = each_server.state("investigation")
    ask(dsn, CONVERSATIONS.format(default, "delete"))
    revisions.upgrade(dsn)
    ask(dsn, "delete from public.conv where id = 5")
    assert ask(dsn, "select distinct conv_id from audit_logs") == [(None,)]


def test_a_key_on_a_column_that_the_gateway_writes_too_binds_the_old_names_rows_alone(
    each_server: Server,
) -> None:
    dsn = each_server.state("investigation")
    ask(
        dsn,
        "create table public.channels (name varchar(100) primary key);"
        " insert into public.channels select distinct slack_channel from public.audit_logs"
        " where slack_channel is not null;"
        " alter table public.audit_logs add foreign key (slack_channel) references public.channels",
    )
    before = dump(dsn)
    revisions.upgrade(dsn)
    ask(
        dsn,
        "insert into omni2.audit_logs (question, success, slack_channel) values ('a', true, 'C9')",
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ask(dsn, "insert into audit_logs (message, slack_channel) values ('a', 'C9')")
    ask(dsn, "delete from omni2.audit_logs where slack_channel = 'C9'")
    revisions.downgrade(dsn, "base")
    assert dump(dsn) == before


def test_what_is_not_enforced_is_not_checked(server: Server) -> None:
    dsn = server.state("investigation")
    requires(dsn, 18)
    ask(
        dsn,
        "alter table public.audit_logs add constraint loose foreign key (iterations)"
        " references public.users (id) not enforced; create table public.notes"
        " (request integer references public.audit_logs (id) not enforced);"
        " insert into public.notes values (9999); update public.audit_logs set iterations = 9999",
    )
    before = dump(dsn, "--schema-only")
    revisions.upgrade(dsn)
    assert ask(dsn, CERTIFIED) == [(11, True)]
    ask(dsn, "insert into public.notes values (8888)")
    ask(dsn, "insert into audit_logs (iterations) values (8888)")
    revisions.downgrade(dsn, "base")
    assert dump(dsn, "--schema-only") == before


def test_what_an_earlier_version_carried_wrongly_is_let_go(server: Server) -> None:
    dsn = server.state("gateway")
    ask(dsn, PARTITIONED_USERS.format(""))
    ask(dsn, "alter table omni2.audit_logs add cost_usd double precision")
    revisions.upgrade(dsn, "0036")
    writer = f"writer_{dsn.dbname}"
    ask(
        dsn,
        "create table public.channels (name text primary key);"
        " alter table omni2.audit_logs add constraint omniledger_channel"
        " foreign key (slack_channel) references public.channels (name) not valid,"
        " add constraint omniledger_user_1"
        " foreign key (legacy_user_id) references public.users_0 (id) not valid;"
        f" create role {writer};"
        f" grant update (cost_usd_by_hand) on omni2.audit_logs to {writer}",
    )
    try:
        revisions.upgrade(dsn)
        ask(
            dsn,
            "insert into omni2.audit_logs (question, success, slack_channel)"
            " values ('', true, 'nowhere')",
        )
        ask(dsn, "insert into audit_logs (user_id, message) values (101, 'b'), (102, 'c')")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            ask(dsn, "insert into audit_logs (user_id, message) values (999, 'nobody')")
        assert ask(
            dsn,
            "select has_column_privilege(%s, 'omni2.audit_logs', 'cost_usd', 'update')",
            writer,
        ) == [(True,)]
        assert omniledger(dsn, "merge", "verify").code == 0
    finally:
        ask(dsn, f"drop owned by {writer}; drop role {writer}")
