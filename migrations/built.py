"""What runs built out of the ledger, which a downgrade has to take along."""

from typing import Literal

from migrations.ddl import run

_DROP = """
do $omniledger$
declare
    built text;
begin
    select string_agg(c.oid::regclass::text, ', ')
    into built
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname = 'analytics_build' and c.relkind = '{letter}';
    if built is not null then
        execute 'drop {kind} ' || built;
    end if;
end
$omniledger$
"""

_LETTERS = {"view": "v", "table": "r"}


def drop_built(kind: Literal["view", "table"]) -> None:
    """Drop the views, or the tables, of `analytics_build`; the next run makes them anew.

    What somebody else made over them is not ours to drop: PostgreSQL names it and refuses.
    """
    run(_DROP.format(kind=kind, letter=_LETTERS[kind]))
