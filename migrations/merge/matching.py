"""Set aside what the ledger can't hold, and find the requests that both systems logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial

from psycopg import sql

from migrations.gateway import LEDGER as LEDGER_NAME
from migrations.merge.batches import Progress, Range, count, in_batches
from migrations.merge.statements import KNOWN, LEDGER, RANGE, Statements
from migrations.patience import patiently
from migrations.texts import sql as sql_of
from omniledger.database import Connection

# Every pair that could be one request is noted first. Whether each is the other's nearest is then
# read off the pairs, for all rivals of a gateway row are among them. The table is no part of the
# schema: it is there while a merge is matching, and a killed one begins it anew.
_START = """
drop table if exists ledger.audit_candidates;
create unlogged table ledger.audit_candidates (
    legacy_id bigint not null,
    audit_id bigint not null,
    apart numeric not null
)
"""

_MATCHABLE = """
    {text} is not null
    and {time} between '1900-01-01' and '9999-01-01'
    and {sound}
"""

# The gateway's rows are narrowed to the range's own time, so that a batch reads a slice of them.
_SPAN = """
select
    min({time}) filter (where {matchable}) - %(window)s * interval '1 second' as since,
    max({time}) filter (where {matchable}) + %(window)s * interval '1 second' as until,
    bool_or({complaint} is not null) as has_unsound
from {legacy} as l
where {range}
"""

_PAIR = """
insert into ledger.audit_candidates (legacy_id, audit_id, apart)
select l.id, g.id, abs(extract(epoch from {time} - g.timestamp))
from {legacy} as l
inner join ledger.user_map as m on {person} = m.legacy_user_id
inner join {ledger} as g
    on
        m.user_id = g.user_id
        and {text} = g.question
        and g.timestamp
        between {time} - %(window)s * interval '1 second'
        and {time} + %(window)s * interval '1 second'
where
    {range}
    and {matchable}
    and g.timestamp between %(since)s and %(until)s
    and g.source_system = 'gateway'
"""

# A row that is in the ledger already, copied before its gateway row came, stays as it is.
_CHOOSE = """
with nearest_audit as (
    select distinct on (legacy_id) legacy_id, audit_id
    from ledger.audit_candidates
    order by legacy_id, apart, audit_id
),

nearest_legacy as (
    select distinct on (audit_id) audit_id, legacy_id
    from ledger.audit_candidates
    order by audit_id, apart, legacy_id
)

insert into ledger.audit_matches (legacy_id, audit_id, gained)
select n.legacy_id, n.audit_id, '{{}}'
from nearest_audit as n
inner join nearest_legacy as b on n.legacy_id = b.legacy_id and n.audit_id = b.audit_id
where not exists (select from {ledger} as a where a.legacy_id = n.legacy_id)
on conflict do nothing
"""

_AMBIGUOUS = """
select count(*)
from (
    select legacy_id
    from ledger.audit_candidates
    group by legacy_id
    having count(*) > 1
) as ambiguous
"""


def match_history(
    connection: Connection, workers: Sequence[Connection], statements: Statements, window: Decimal
) -> Iterator[Progress]:
    """Find which old row and which gateway row are one request, and give the latter what it lacked.

    The pairs are noted in `ledger.audit_matches`. Rows that the ledger can't hold are noted in
    `ledger.audit_quarantine` on the way.

    Args:
        connection: an autocommit connection.
        workers: the further connections that do the work.
        statements: those of the old table.
        window: how far apart the two logs of one request may be, in seconds.
    """
    table = statements.table
    meanings = statements.meanings
    parts = {
        "legacy": table,
        "ledger": LEDGER,
        "range": RANGE,
        "matchable": sql.SQL(_MATCHABLE).format(sound=statements.sound, **meanings),
        "complaint": statements.complaint,
        **meanings,
    }
    span, pair = sql.SQL(_SPAN).format(**parts), sql.SQL(_PAIR).format(**parts)
    quarantine = statements.quarantine(RANGE)
    done, total = 0, count(connection, table)
    yield Progress("matching", 0, total)
    connection.execute(_START)
    # An earlier version of revision 0006 did not make it.
    connection.execute(sql_of("audit_as_json").encode())

    def note_pairs(worker: Connection, chunk: Range) -> None:
        values = {**chunk.values(), "window": window}
        since, until, has_unsound = worker.execute(span, values).fetchone() or (None, None, True)
        if has_unsound:
            worker.execute(quarantine, values)
        if since is not None:
            worker.execute(pair, {**values, "since": since, "until": until})

    for chunk, _ in in_batches(connection, workers, table, note_pairs):
        done += chunk.rows
        yield Progress("matching", done, max(total, done))
    done = 0
    yield Progress("filling in", 0, total)
    connection.execute("analyze ledger.audit_candidates")
    connection.execute(sql.SQL(_CHOOSE).format(ledger=LEDGER))
    connection.execute("analyze ledger.audit_matches")
    apply_matches = statements.apply_matches(RANGE, KNOWN)

    def fill_in(worker: Connection, chunk: Range) -> None:
        # Who writes these rows in another order and waits for us would be ended, or we would.
        patiently(worker, LEDGER_NAME, partial(worker.execute, apply_matches, chunk.values()))

    for chunk, _ in in_batches(connection, workers, table, fill_in):
        done += chunk.rows
        yield Progress("filling in", done, max(total, done))


def take_ambiguous(connection: Connection) -> int:
    """How many old rows had more than one gateway row to choose from; ends the matching."""
    row = connection.execute(_AMBIGUOUS).fetchone()
    connection.execute("drop table ledger.audit_candidates")
    return int(row[0]) if row else 0
