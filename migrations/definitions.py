"""How the upgrade left what it defined, so that another's change is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from psycopg import sql

from migrations.gateway import LEDGER
from migrations.memory import noted, replace
from migrations.merge.record import last_done
from migrations.sequences import ledger_sequence
from omniledger import revisions
from omniledger.catalog import is_there
from omniledger.database import Connection

_NOTED = "definitions"

# Whether a trigger is enabled is looked at by itself. The server words triggers and views, and a
# later version may word them otherwise. The function of limits follows the gateway's tables.
_DEFINED = r"""
    select
        'function ' || p.oid::regprocedure,
        md5(
            concat_ws(
                ' ', p.prosrc, p.proconfig::text, p.prosecdef, p.provolatile, p.proisstrict,
                l.lanname
            )
        )
    from pg_proc as p
    inner join pg_language as l on p.prolang = l.oid
    where
        p.pronamespace = to_regnamespace('ledger')
        and p.proname <> 'effective_limit'
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
    union all
    select
        format('trigger %%I of %%s', t.tgname, t.tgrelid::regclass),
        md5(pg_get_triggerdef(t.oid))
    from pg_trigger as t
    inner join pg_proc as p on t.tgfoid = p.oid
    inner join pg_class as c on t.tgrelid = c.oid
    where
        not t.tgisinternal
        and (
            to_regnamespace('ledger') in (p.pronamespace, c.relnamespace)
            or t.tgname like 'omniledger\_%%'
        )
    union all
    select
        format('view %%s', c.oid::regclass),
        md5(concat_ws(' ', pg_get_viewdef(c.oid), c.reloptions::text))
    from pg_class as c
    where
        c.relkind = 'v'
        and (c.relnamespace = to_regnamespace('ledger') or c.oid = to_regclass(%(old_name)s))
    union all
    -- that of the search is the operator's to make and to drop
    select 'index ' || i.indexrelid::regclass, md5(pg_get_indexdef(i.indexrelid))
    from pg_index as i
    inner join pg_class as c on i.indexrelid = c.oid
    where
        c.relnamespace = to_regnamespace('omni2')
        and c.relname like 'omniledger\_%%'
        and c.relname <> 'omniledger_audit_logs_search'
    union all
    -- Whether it was checked is the operator's.
    select
        format('reference %%I of %%s', k.conname, k.conrelid::regclass),
        md5(regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''))
    from pg_constraint as k
    left join pg_attribute as r on k.confrelid = r.attrelid and r.attnum = k.confkey[1]
    where
        k.contype = 'f'
        and case to_regclass('omni2.audit_logs')
            when k.conrelid then k.conname like 'omniledger\_%%'
            when k.confrelid then r.attname = 'legacy_id'
        end
    union all
    -- What counts in another way, or ends before the ids do.
    select
        'sequence ' || s.seqrelid::regclass,
        md5(concat_ws(' ', sign(s.seqincrement), s.seqcycle, least(s.seqmax, 2147483647)))
    from pg_sequence as s
    where s.seqrelid in (to_regclass(%(drawn)s), to_regclass(%(ours)s))
    union all
    select
        format('rule %%I of %%s', r.rulename, r.ev_class::regclass),
        md5(pg_get_ruledef(r.oid))
    from pg_rewrite as r
    where
        r.ev_class in (to_regclass('omni2.audit_logs'), to_regclass(%(old_name)s))
        and r.rulename <> '_RETURN'
"""


class Change(NamedTuple):
    """What is no longer as the upgrade left it: kind and name, and what became of it."""

    what: str
    became: str


def record(connection: Connection, *, anew: bool) -> None:
    """Note how everything is defined now.

    Args:
        connection: of who just moved the database to another revision, or merged.
        anew: whether to note it also where nothing happened that changes definitions rightly.
    """
    if not is_there(connection, "ledger.merge_runs"):
        return
    moment = _moment(connection)
    if anew or noted(connection, _NOTED).get("moment") != moment:
        replace(connection, _NOTED, {"moment": moment, "made": _defined(connection)})


def changes(connection: Connection) -> Iterator[Change]:
    """What somebody changed, dropped, or put on the two logs, since the last upgrade or merge.

    Nothing where an earlier version made what is there, or a later server would word it otherwise.
    """
    moment = _moment(connection)
    last = noted(connection, _NOTED)
    if last.get("moment") != moment:
        return
    made, now = last["made"], _defined(connection)
    for what in sorted(made.keys() | now.keys()):
        if what not in now:
            yield Change(what, "missing")
        elif what not in made:
            if what.startswith("rule "):
                yield Change(what, "new")
        elif made[what] != now[what]:
            yield Change(what, "changed")


def _moment(connection: Connection) -> list[object]:
    """What changes definitions rightly: another revision, another server, a merge."""
    done = last_done(connection)
    server = connection.info.server_version // 10000
    return [revisions.current(connection), server, done and done.cutover_xid]


def _defined(connection: Connection) -> dict[str, str]:
    done = last_done(connection)
    with connection.transaction(force_rollback=True):
        # Names are written in full, whoever asks.
        connection.execute("set local search_path = ''")
        drawn = done and done.legacy.id_sequence
        values = {
            "old_name": done and done.legacy.relation,
            "drawn": drawn and sql.Identifier(*drawn).as_string(connection),
            "ours": ledger_sequence(connection) if is_there(connection, LEDGER) else None,
        }
        return dict(connection.execute(_DEFINED, values).fetchall())
