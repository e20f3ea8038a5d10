"""Names that the upgrade needs and somebody else has, looked at before it begins.

What it would find there it would take for its own: write into it, give it other owners and
readers, and drop it on the way back.
"""

from __future__ import annotations

from omniledger import revisions
from omniledger.database import Connection
from omniledger.errors import NotReadyError

# The figures stay where they are after a way back, and where the ledger was dropped by hand; beside
# them the record of the days whose rows were removed, without which they would be built again.
_TAKEN = r"""
    with figures as (
        select
            coalesce(
                to_regclass('analytics.fct_daily_usage'),
                to_regclass('analytics_build.fct_daily_usage')
            ) is not null as are_ours
    )

    select format('the schema %I holds %s', n.nspname, c.oid::regclass)
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    cross join figures
    where
        c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and case n.nspname
            when 'ledger'
                then c.relname <> 'alembic_version' and not (
                    figures.are_ours
                    and c.relname in ('prunings', 'prunings_pruning_id_seq', 'pruned_servers')
                )
            when 'analytics' then not figures.are_ours
            when 'analytics_build' then not figures.are_ours
        end
    union all
    select format('%s is there', c.oid::regclass)
    from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where n.nspname = 'omni2' and c.relname like 'omniledger\_%'
    union all
    select format('%s has a column %I', a.attrelid::regclass, a.attname)
    from pg_attribute as a
    where a.attrelid = to_regclass('omni2.mcp_health_log') and a.attname = 'change_xid'
    order by 1
"""


def require_none_taken(connection: Connection) -> None:
    """Refuse an upgrade that would take what is somebody else's for its own.

    Raises:
        NotReadyError: it names the first thing; nothing was changed.
    """
    if revisions.current(connection) is not None:
        return
    for (what,) in connection.execute(_TAKEN):
        raise NotReadyError(
            f"The upgrade needs names that are somebody else's: {what}; nothing was changed: "
            "rename that, or move what is in it to another schema, and run the command again; "
            "where it is omniledger's own and only the revision was lost, `alembic stamp REVISION` "
            "says it again."
        )
