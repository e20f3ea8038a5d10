"""Tables of other roles, to which keys of the old table lead and from which they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from omniledger import revisions
from omniledger.database import Dsn
from omniledger.errors import NotReadyError
from tests.conftest import Server, ask
from tests.migrations.dumps import dump

PASSWORD = "owner"  # noqa: S105 (of a login that ends with its test)

_GIVE = """
do $$
declare
    found text;
begin
    for found in
        select format('table %s', c.oid::regclass)
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where n.nspname in ('omni2', 'auth_service', 'public') and c.relkind = 'r'
        union all
        select format('schema %I', n.nspname)
        from pg_namespace as n
        where n.nspname in ('omni2', 'auth_service', 'public')
    loop
        execute format('alter %s owner to OWNER', found);
    end loop;
end
$$
"""


@pytest.fixture
def owned(server: Server) -> Iterator[Dsn]:
    """The investigation's case, whose owner is no superuser, with a table of notes on requests."""
    admin = server.state("investigation")
    owner, other = f"owner_{admin.dbname}", f"other_{admin.dbname}"
    ask(
        admin,
        f"create role {owner} login password '{PASSWORD}'; create role {other};"
        f" grant create on database {admin.dbname} to {owner};"
        " create table public.notes (request integer references public.audit_logs (id))",
    )
    ask(admin, _GIVE.replace("OWNER", owner))
    yield replace(admin, user=owner, password=PASSWORD)
    for role in (owner, other):
        ask(admin, f"drop owned by {role} cascade; drop role {role}")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            "alter table public.notes owner to OTHER",
            "alter the foreign key of public.notes, which belongs to OTHER; nothing was changed:"
            " run the upgrade as a member of OTHER",
        ),
        (
            "alter table public.users owner to OTHER; grant select on public.users to OWNER",
            "let omni2.audit_logs reference public.users, which belongs to OTHER; nothing was"
            " changed: `grant references on public.users to OWNER`",
        ),
        (
            "alter table public.users owner to OTHER; grant references on public.users to OWNER",
            "read public.users, which belongs to OTHER; nothing was changed:"
            " `grant select on public.users to OWNER`",
        ),
        (
            "alter table auth_service.users owner to OTHER",
            "read auth_service.users, which belongs to OTHER",
        ),
    ],
)
def test_what_may_not_be_done_with_anothers_table_is_named_before_any_change(
    server: Server, owned: Dsn, given: str, why: str
) -> None:
    admin = replace(server.dsn, dbname=owned.dbname)

    def named(text: str) -> str:
        return text.replace("OTHER", f"other_{owned.dbname}").replace("OWNER", owned.user)

    ask(admin, named(given))
    before = dump(admin)
    with pytest.raises(NotReadyError, match=named(why)):
        revisions.upgrade(owned)
    assert dump(admin) == before


def test_with_the_rights_anothers_tables_are_no_obstacle(server: Server, owned: Dsn) -> None:
    admin = replace(server.dsn, dbname=owned.dbname)
    other = f"other_{owned.dbname}"
    ask(
        admin,
        f"alter table public.users owner to {other}; alter table auth_service.users owner to"
        f" {other}; grant select, references (id) on public.users to {owned.user};"
        f" grant select on auth_service.users to {owned.user}",
    )
    revisions.upgrade(owned)
    assert ask(owned, "select holds from ledger.merge_runs") == [(True,)]
    revisions.downgrade(owned, "0006")
