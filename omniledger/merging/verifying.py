"""The proof once more, for the rows not changed since, and whether the old name still stands."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from migrations import redundant
from migrations.definitions import changes
from migrations.legacy import ARCHIVE, NAME, Legacy
from migrations.merge.certify import Certificate, certify
from migrations.merge.cutover import powerless_owner
from migrations.merge.derived import derives
from migrations.merge.indexes import built
from migrations.merge.record import Done, last_done
from migrations.merge.statements import Statements
from migrations.merge.watch import MOVED, TOMBSTONE
from omniledger.analytics.link import require_own
from omniledger.catalog import is_there, kind_of
from omniledger.database import Connection
from omniledger.errors import NotReadyError
from omniledger.merging.counting import uncounted
from omniledger.merging.refusing import refused

_GONE = (
    "omni2.audit_logs is not there, and with it went what was written since the merge: the old "
    f"rows are whole in ledger.{ARCHIVE}; docs/operations.md says how to begin anew from there."
)

_TRIGGERS = (
    "omniledger_fill_in_insert",
    "omniledger_fill_in_update",
    "omniledger_note_deleted",
    "omniledger_note_departed",
    "omniledger_note_truncated",
    "omniledger_stamp_change",
    TOMBSTONE,
    MOVED,
)

_DERIVING = ("omniledger_derive_insert", "omniledger_derive_update")
"""Where the old table has columns that are computed."""

_INDEXES = (
    "omniledger_audit_logs_changes",
    "omniledger_audit_logs_legacy_id",
    "omniledger_audit_logs_legacy_user",
    "omniledger_audit_logs_quota",
    "omniledger_audit_logs_server",
)

_TRIGGERS_SLEEPING = """
    select n.name
    from unnest(%s::text[]) as n (name)
    left join pg_trigger as t
        on n.name = t.tgname and t.tgrelid = 'omni2.audit_logs'::regclass
    where coalesce(t.tgenabled, 'D') not in ('O', 'A')
    order by 1
"""

_INDEXES_BROKEN = """
    select n.name
    from unnest(%s::text[]) as n (name)
    left join pg_index as i on i.indexrelid = to_regclass(format('omni2.%%I', n.name))
    where i.indisvalid is not true
    order by 1
"""

_REQUIRED = """
    select attname
    from pg_attribute
    where
        attrelid = 'omni2.audit_logs'::regclass
        and attnum > 0
        and attnotnull
        and not atthasdef
        and attname not in ('id', 'source_system')
    order by 1
"""

_READS_LEDGER = """
    select exists (
        select from pg_rewrite as r
        inner join pg_depend as d on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        where
            r.ev_class = to_regclass(%s)
            and d.refobjid = 'omni2.audit_logs'::regclass
    )
"""

_SHOWN = """
    select attname, format_type(atttypid, atttypmod)
    from pg_attribute
    where attrelid = to_regclass(%s) and attnum > 0
    order by attnum
"""

_CERTIFIED = """
    select
        rows_total,
        checksum,
        exists (
            select from pg_constraint
            where
                conrelid = to_regclass('ledger.audit_logs_legacy')
                and contype = 'f'
                and (confdeltype in ('n', 'd', 'c') or confupdtype in ('n', 'd', 'c'))
        ),
        exists (
            select from pg_constraint
            where
                conrelid = to_regclass('ledger.audit_logs_legacy')
                and contype = 'f'
                and confdeltype = 'c'
        )
    from ledger.merge_runs
    where cutover_xid = %s and rows_total is not null
"""

_TRUNCATED = """
    select exists (
        select from ledger.deleted_days
        where source_table = 'audit_logs' and period_start = '-infinity' and change_xid > %s
    )
"""


@dataclass(frozen=True)
class Verified:
    """What a verification found.

    Attributes:
        certificate: the rows; None where there was no old table.
        damage: what is no longer as the merge left it, each a sentence with the way out.
    """

    certificate: Certificate | None
    damage: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is proved."""
        return not self.damage and (self.certificate is None or self.certificate.holds)


def verify(connection: Connection) -> Verified:
    """Prove the merge again, reading only.

    Raises:
        NotReadyError: no merge has been cut over, nothing was upgraded yet, or this is a copy.
    """
    require_own(connection)
    if not is_there(connection, "ledger.merge_runs"):
        raise NotReadyError(
            "Nothing has been merged on this database, which isn't upgraded yet; run `alembic "
            "upgrade head` first."
        )
    done = last_done(connection)
    if done is None:
        raise NotReadyError(
            "No merge has been cut over on this database; `omniledger merge status` says where "
            "it stands."
        )
    if not is_there(connection, "omni2.audit_logs"):
        return Verified(None, (_GONE,))
    certificate, found = None, list(damage(connection, done))
    if done.legacy.has_table:
        if is_there(connection, f"ledger.{ARCHIVE}"):
            statements = Statements(done.legacy, archived=True)
            certificate = certify(connection, statements, done)
            found += _archive(connection, done, certificate)
        else:
            found.append(
                f"The archive ledger.{ARCHIVE} is not there: nothing can be proved without it; "
                "restore it from a backup."
            )
    return Verified(certificate, tuple(found))


def _archive(connection: Connection, done: Done, now: Certificate) -> Iterator[str]:
    """Whether the archive is what was certified.

    What a foreign key of it does when users are deleted changes it rightly, so there only the
    number of rows is held to, and where it deletes them that there are no more.
    """
    certified = connection.execute(_CERTIFIED, (done.cutover_xid,)).fetchone()
    if certified is None:
        return
    total, checksum, follows_users, goes_with_users = certified
    if now.total > total or (now.total < total and not goes_with_users):
        yield f"The archive ledger.{ARCHIVE} has {now.total:,} rows; {total:,} were certified."
    elif checksum != now.checksum and not follows_users:
        yield f"The archive ledger.{ARCHIVE} has other values than those that were certified."


def damage(connection: Connection, done: Done) -> Iterator[str]:
    """What of the ledger and the old name is no longer as the merge left it, from the catalog.

    Raises:
        InsufficientPrivilege: we may not read a sequence; all else was told before.
    """
    old_name = list(_old_name(connection, done.legacy))
    yield from old_name
    yield from refused(connection, done.legacy)
    called = redundant.names(connection)
    carried = built(connection)
    indexes = [*(called.get(name, name) for name in _INDEXES), *carried]
    yield from redefined(connection, knows_view=bool(old_name), told=indexes)
    triggers = [*_TRIGGERS, *(_DERIVING if derives(done.legacy) else ())]
    for (name,) in connection.execute(_TRIGGERS_SLEEPING, (triggers,)):
        yield (
            f"The trigger {name} of omni2.audit_logs is missing or disabled: enable it, or run "
            "`alembic downgrade` to before its revision and `alembic upgrade head`."
        )
    for (name,) in connection.execute(_INDEXES_BROKEN, (indexes,)):
        again = (
            f"run `{carried[name]}`" if name in carried else "make it again as its revision does"
        )
        yield (
            f"The index omni2.{name} is missing or invalid: `reindex index concurrently` it, or "
            f"{again}."
        )
    for (name,) in connection.execute(_REQUIRED):
        yield (
            f"omni2.audit_logs.{name} is NOT NULL now, so that a row without it is refused and "
            f"lost: alter table omni2.audit_logs alter column {name} drop not null."
        )
    if connection.execute(_TRUNCATED, (done.cutover_xid,)).fetchone() == (True,):
        yield (
            "omni2.audit_logs was emptied by TRUNCATE: the old rows are whole in "
            f"ledger.{ARCHIVE}, those written since are in backups only."
        )
    # Last, for a sequence may be hidden from whoever sees all else.
    yield from uncounted(connection, done.legacy)


def redefined(
    connection: Connection, *, knows_view: bool = False, told: Container[str] = ()
) -> Iterator[str]:
    """What is defined otherwise than the last upgrade or merge left it.

    Args:
        knows_view: whether it is told already that the old name is not what it was.
        told: indexes that are told already if they are missing.
    """
    for what, became in changes(connection):
        kind, name, *_ = what.split(" ")
        if kind == "view" and name.endswith(f".{NAME}"):
            if knows_view:
                continue
            way_out = "drop it and run `omniledger merge run`, which makes it again"
        elif kind in ("sequence", "reference"):
            # With its table a reference goes, too.
            table = what.rpartition(" of ")[2] if kind == "reference" else ""
            if became == "missing" and not is_there(connection, table):
                continue
            way_out = "take that back"
        elif kind == "rule":
            way_out = f"drop {what.replace(' of ', ' on ')}"
        elif became == "missing" and (
            (kind == "trigger" and name in (*_TRIGGERS, *_DERIVING))
            or (kind == "index" and name.partition(".")[2] in told)
        ):
            continue
        else:
            way_out = (
                "take that back, or run `alembic downgrade` to before its revision and `alembic "
                "upgrade head`"
            )
        yield f"The {what} is {became} since the last upgrade: {way_out}."


def reads_ledger(connection: Connection, relation: str) -> bool:
    """Whether a view, by its quoted name, is one of the ledger, which has to be there."""
    return connection.execute(_READS_LEDGER, (relation,)).fetchone() == (True,)


def _old_name(connection: Connection, legacy: Legacy) -> Iterator[str]:
    name = f"{legacy.schema}.{NAME}"
    kind = kind_of(connection, legacy.relation)
    if kind is None:
        yield f"{name} is not there: run `omniledger merge run`, which makes the view again."
        return
    if kind != "v" or not reads_ledger(connection, legacy.relation):
        yield (
            f"{name} is not the view that the merge left, so what is written there is not in the "
            "ledger: rename it, run `omniledger merge run`, which makes the view again, and "
            f"insert its rows into {name} without their id."
        )
        return
    owner = powerless_owner(connection, legacy.relation)
    if owner is not None:
        yield (
            f"{name} belongs to {owner}, who may not write omni2.audit_logs, so that nobody can "
            f"write through it: alter view {legacy.relation} owner to the ledger's owner."
        )
    shown: dict[str, str] = dict(connection.execute(_SHOWN, (legacy.relation,)).fetchall())
    wanted = {column.name: column.type for column in legacy.columns}
    for column in sorted(wanted.keys() | shown.keys()):
        if shown.get(column) != wanted.get(column):
            yield (
                f"{name}.{column} is {shown.get(column, 'not there')} and was "
                f"{wanted.get(column, 'not there')}: drop the view and run `omniledger merge run`."
            )
