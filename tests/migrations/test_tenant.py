"""A database that somebody else rules: no superuser, no extensions, little that may be created."""

from dataclasses import replace

import pytest

from omniledger import revisions
from omniledger.database import Dsn
from omniledger.errors import NotReadyError
from tests.conftest import Server, ask
from tests.migrations.conftest import SetSetting
from tests.migrations.operator import omniledger

TENANT, PASSWORD = "tenant", "its-own"


@pytest.fixture
def rented(server: Server) -> Dsn:
    """As its tenant, who owns the gateway's tables and nothing else, and has his own search path.

    The old table lies in the schema `chat`; `public` is not his to write.
    """
    dsn = server.state("other_schema")
    ask(
        dsn,
        f"""
        do $$
        declare
            one record;
        begin
            if to_regrole('{TENANT}') is null then
                create role {TENANT} login password '{PASSWORD}';
            end if;
            execute format('grant create on database %I to {TENANT}', current_database());
            for one in
                select nspname from pg_namespace where nspname in ('chat', 'omni2', 'auth_service')
            loop
                execute format('alter schema %I owner to {TENANT}', one.nspname);
            end loop;
            for one in
                select relnamespace::regnamespace as place, relname from pg_class
                where
                    relkind = 'r'
                    and relnamespace::regnamespace::text
                    in ('public', 'chat', 'omni2', 'auth_service')
            loop
                execute format('alter table %s.%I owner to {TENANT}', one.place, one.relname);
            end loop;
            revoke create on schema public from public;
            alter role {TENANT} set search_path = chat, omni2;
        end
        $$
        """,
    )
    return replace(dsn, user=TENANT, password=PASSWORD)


def test_a_tenant_upgrades_and_goes_back(rented: Dsn, set_setting: SetSetting) -> None:
    set_setting("legacy_schema", "chat")
    revisions.upgrade(rented)
    assert ask(rented, "select holds from ledger.merge_runs") == [(True,)]
    assert omniledger(rented, "merge", "verify").code == 0
    [(new,)] = ask(rented, "insert into audit_logs (message) values ('as ever') returning id")
    assert ask(rented, "select message from chat.audit_logs where id = %s", new) == [("as ever",)]
    revisions.downgrade(rented, "base")
    assert ask(rented, "select message from chat.audit_logs where id = %s", new) == [("as ever",)]


def test_who_may_not_make_the_view_is_told_before_any_change(
    rented: Dsn, server: Server, set_setting: SetSetting
) -> None:
    set_setting("legacy_schema", "chat")
    owner = replace(rented, user=server.dsn.user, password=server.dsn.password)
    ask(owner, f"alter schema chat owner to current_user; grant usage on schema chat to {TENANT}")
    with pytest.raises(NotReadyError, match="tenant may create nothing in the schema chat"):
        revisions.upgrade(rented)
    assert ask(owner, "select to_regclass('ledger.alembic_version')") == [(None,)]
