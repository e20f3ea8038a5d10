"""The SQL that moves rows, composed once for the legacy table that was found."""

from __future__ import annotations

from psycopg import sql

from migrations.legacy import GATEWAY_COLUMNS
from migrations.merge.old_rows import OldRows

LEDGER = sql.SQL("omni2.audit_logs")

RANGE = sql.SQL("l.id > %(after)s and l.id <= %(upto)s")
"""The old rows `l` of one `migrations.merge.batches.Range`."""

KNOWN = sql.SQL("legacy_id > %(after)s and legacy_id <= %(upto)s")
"""The same of what is known of them by `legacy_id`."""

# Both logs of a request have the same person and text and lie at most a window apart, and each is
# the other's nearest; between two as near the lower id wins. Rivals are looked for among all old
# rows, so that the answer does not depend on which of them are asked about. Few are asked about at
# a time, some while writers wait: OFFSET 0 makes the planner look into an index, and not hash all
# rows there are. It looks once for all requests of a person in the same minute, not once for each,
# or somebody who writes a thousand a second would never be caught up with.
_MATCH = """
with asked as (
    select
        l.id, m.user_id, {text} as message, {time} as created_at,
        floor(extract(epoch from {time}) / 60) as minute
    from {legacy} as l
    inner join ledger.user_map as m on {person} = m.legacy_user_id
    where
        {text} is not null
        -- From infinity, and from the ends of time, no window can be counted.
        and {time} between '0001-01-01 00:00+00' and '9999-12-31 00:00+00'
        and {sound}
        and {scope}
),

places as (
    select user_id, minute, min(created_at) as first_at, max(created_at) as last_at
    from asked
    group by user_id, minute
),

near as materialized (
    select places.user_id, places.minute, g.id, g.question, g.timestamp
    from places
    cross join lateral (
        select a.id, a.question, a.timestamp
        from {ledger} as a
        where
            places.user_id = a.user_id
            and a.timestamp
            between places.first_at - %(window)s * interval '1 second'
            and places.last_at + %(window)s * interval '1 second'
            and a.source_system = 'gateway'
        offset 0
    ) as g
),

candidates as (
    select asked.id as legacy_id, g.id as audit_id, abs({apart_asked}) as apart
    from asked
    inner join near as g
        on
            asked.user_id = g.user_id
            and asked.minute = g.minute
            and asked.message collate "C" = g.question
            and g.timestamp
            between asked.created_at - %(window)s * interval '1 second'
            and asked.created_at + %(window)s * interval '1 second'
),

rivals as (
    select l.id as legacy_id, g.id as audit_id, abs({apart_rival}) as apart
    from (select distinct audit_id from candidates) as c
    inner join {ledger} as g on c.audit_id = g.id
    cross join lateral (
        select l.*
        from {legacy} as l
        where
            g.question = {text}
            and {time}
            between g.timestamp - %(window)s * interval '1 second'
            and g.timestamp + %(window)s * interval '1 second'
            and {sound}
        offset 0
    ) as l
    inner join ledger.user_map as m on {person} = m.legacy_user_id and g.user_id = m.user_id
),

nearest_audit as (
    select distinct on (legacy_id) legacy_id, audit_id
    from candidates
    order by legacy_id, apart, audit_id
),

nearest_legacy as (
    select distinct on (audit_id) audit_id, legacy_id
    from rivals
    order by audit_id, apart, legacy_id
),

matched as (
    insert into ledger.audit_matches (legacy_id, audit_id, gained)
    select n.legacy_id, n.audit_id, '{{}}'
    from nearest_audit as n
    inner join nearest_legacy as b on n.legacy_id = b.legacy_id and n.audit_id = b.audit_id
    on conflict do nothing
    returning legacy_id
)

select
    (select count(*) from matched) as matched,
    (
        select count(*)
        from (select legacy_id from candidates group by legacy_id having count(*) > 1) as a
    ) as ambiguous
"""

_QUARANTINE = """
insert into ledger.audit_quarantine (legacy_id, reason, row)
select l.id, {complaint}, ledger.audit_as_json(l.*)
from {legacy} as l
where
    {scope}
    and {complaint} is not null
on conflict (legacy_id) do nothing
"""

# A matched row keeps its own values and gains what it lacked; which, is kept for the way back.
_APPLY_MATCHES = """
with gaining as (
    select
        l.*,
        k.audit_id as omniledger_audit_id,
        {lacks} as omniledger_gained
    from (select * from ledger.audit_matches where {known}) as k
    inner join {legacy} as l on k.legacy_id = l.id
    inner join {ledger} as a on k.audit_id = a.id
    where {scope} and a.legacy_id is null
    -- What the gateway is writing there just now is what it has, and not what it lacks.
    for update of a
),

noted as (
    update ledger.audit_matches as k
    set gained = l.omniledger_gained
    from gaining as l
    where k.legacy_id = l.id
)

update {ledger} as a
set legacy_id = l.id, {gains}
from gaining as l
where a.id = l.omniledger_audit_id
"""

_SETTLED = "select array(select legacy_id from {ledger} where {known})"

# No ON CONFLICT, which costs a tenth: a batch that meets another's row is repeated.
_COPY = """
insert into {ledger} (source_system, user_id, {targets})
select 'legacy', m.user_id, {values}
from {legacy} as l
left join ledger.user_map as m on {person} = m.legacy_user_id
where
    {scope}
    -- A list is looked up by its hash, which costs less than a join with what made it.
    and case when {complaint} is null then l.id::bigint <> all(%(settled)s::bigint[]) end
"""

_COPY_AGAIN = """
update {ledger} as a
set user_id = m.user_id, {gained}
from {legacy} as l
left join ledger.user_map as m on {person} = m.legacy_user_id
where
    {scope}
    and l.id = a.legacy_id
    and a.source_system = 'legacy'
    and {complaint} is null
returning a.legacy_id
"""

_UNMATCH = """
update {ledger} as a
set legacy_id = null, {loses}
from ledger.audit_matches as k
where a.id = k.audit_id and {scope}
"""

LEAVE_REWRITTEN = """
update ledger.audit_matches as k
set gained = array(select unnest(k.gained) except select unnest(array[{rewritten}]::text[]))
"""
"""Let gateway rows keep what was written over what they gained; whose, the caller says."""

# As text, for not every type knows what is equal.
_LEAVE_REWRITTEN = f"""
{LEAVE_REWRITTEN}
from {{legacy}} as l, {{ledger}} as a
where k.legacy_id = l.id and k.audit_id = a.id and {{since}}
"""


class Statements(OldRows):
    """The merge's SQL for one legacy table."""

    def match(self, scope: sql.Composable) -> sql.Composed:
        """Find the requests that both systems logged, among the old rows `l` in scope."""
        return sql.SQL(_MATCH).format(
            legacy=self.table,
            ledger=LEDGER,
            scope=scope,
            sound=self.sound,
            apart_asked=sql.SQL("extract(epoch from asked.created_at - g.timestamp)"),
            apart_rival=sql.SQL("extract(epoch from {} - g.timestamp)").format(
                self.meanings["time"]
            ),
            **self.meanings,
        )

    def quarantine(self, scope: sql.Composable) -> sql.Composed:
        """Set aside the old rows `l` in scope that the ledger can't hold."""
        return sql.SQL(_QUARANTINE).format(legacy=self.table, scope=scope, complaint=self.complaint)

    def _gained(self) -> list[tuple[str, sql.Composable]]:
        gained: list[tuple[str, sql.Composable]] = [
            (target, sql.SQL("l.") + sql.Identifier(name)) for name, target in self.carried
        ]
        gained += [(c.derives, self.value(c.derives) or sql.NULL) for c in self.legacy.derived]
        if self.total is not None:
            gained.append(("llm_tokens_used", self.total))
        return gained

    def _gained_by_match(self) -> list[tuple[str, sql.Composable]]:
        """As `_gained`, with the total that the fill-in trigger would put on the row else."""
        total = self.split_total
        if self.total is not None or total is None:
            return self._gained()
        return [
            (target, sql.SQL("coalesce({}, {})").format(value, total))
            if target == "llm_tokens_used"
            else (target, value)
            for target, value in self._gained()
        ]

    def apply_matches(self, scope: sql.Composable, known: sql.Composable) -> sql.Composed:
        """Give each matched gateway row what it lacked.

        Args:
            scope: a condition on the old rows `l`.
            known: the same on the column `legacy_id` of what is known of them already.
        """
        lacks = [
            sql.SQL("case when a.{} is null and {} is not null then {} end").format(
                sql.Identifier(target), value, sql.Literal(target)
            )
            for target, value in self._gained_by_match()
        ]
        gains = [
            sql.SQL("{0} = coalesce(a.{0}, {1})").format(sql.Identifier(target), value)
            for target, value in self._gained_by_match()
        ]
        return sql.SQL(_APPLY_MATCHES).format(
            legacy=self.table,
            ledger=LEDGER,
            scope=scope,
            known=known,
            lacks=sql.SQL("array_remove(array[{}]::text[], null)").format(
                sql.SQL(", ").join(lacks)
            ),
            gains=sql.SQL(", ").join(gains),
        )

    def settled(self, known: sql.Composable) -> sql.Composed:
        """The ids of the old rows that the ledger has already, as one array."""
        return sql.SQL(_SETTLED).format(ledger=LEDGER, known=known)

    def copy(self, scope: sql.Composable) -> sql.Composed:
        """Copy the old rows `l` in scope that can be held and are not among `settled`."""
        gained = [("legacy_id", sql.SQL("l.id")), *self._gained()]
        return sql.SQL(_COPY).format(
            legacy=self.table,
            ledger=LEDGER,
            scope=scope,
            complaint=self.complaint,
            targets=sql.SQL(", ").join(sql.Identifier(target) for target, _ in gained),
            values=sql.SQL(", ").join(value for _, value in gained),
            person=self.person,
        )

    def copy_again(self, scope: sql.Composable) -> sql.Composed:
        """Bring copies up to the old rows `l` in scope, where they stand; it returns whose."""
        return sql.SQL(_COPY_AGAIN).format(
            legacy=self.table,
            ledger=LEDGER,
            scope=scope,
            complaint=self.complaint,
            gained=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(target), value)
                for target, value in self._gained()
            ),
            person=self.person,
        )

    def leave_rewritten(self, since: sql.Composable) -> sql.Composed:
        """Let a gateway row `a` keep what was written over what it gained.

        The gateway's own writer may have done it, so that only its own columns are asked about.

        Args:
            since: a condition on the rows `a` that were written since they gained it.
        """
        rewritten = [
            sql.SQL("case when a.{0}::text is distinct from ({1})::text then {2} end").format(
                sql.Identifier(target), value, sql.Literal(target)
            )
            for target, value in self._gained_by_match()
            if target in GATEWAY_COLUMNS
        ]
        return sql.SQL(_LEAVE_REWRITTEN).format(
            legacy=self.table, ledger=LEDGER, since=since, rewritten=sql.SQL(", ").join(rewritten)
        )

    def unmatch(self, scope: sql.Composable) -> sql.Composed:
        """Take from the matched gateway rows `a` in scope what they gained."""
        loses = [
            sql.SQL("{0} = case when {1} = any(k.gained) then null else a.{0} end").format(
                sql.Identifier(target), sql.Literal(target)
            )
            for target, _ in self._gained_by_match()
        ]
        return sql.SQL(_UNMATCH).format(ledger=LEDGER, scope=scope, loses=sql.SQL(", ").join(loses))
