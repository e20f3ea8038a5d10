"""The row triggers of the legacy table, read from the catalog, and whether they can be carried."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omniledger.database import Connection

_TRIGGERS = r"""
    select
        t.tgname,
        t.tgtype,
        format('%%I.%%I', n.nspname, p.proname),
        l.lanname,
        p.proname,
        p.prosrc,
        t.tgargs,
        array(
            select a.attname::text
            from unnest(t.tgattr::smallint []) as k (attnum)
            inner join pg_attribute as a on t.tgrelid = a.attrelid and k.attnum = a.attnum
        ),
        t.tgqual is not null,
        pg_get_triggerdef(t.oid),
        t.tgconstraint <> 0 or t.tgoldtable is not null or t.tgnewtable is not null
    from pg_trigger as t
    inner join pg_proc as p on t.tgfoid = p.oid
    inner join pg_namespace as n on p.pronamespace = n.oid
    inner join pg_language as l on p.prolang = l.oid
    where
        t.tgrelid = to_regclass(%s)
        and not t.tgisinternal
        and t.tgenabled in ('O', 'A')
        and t.tgname not like 'omniledger\_%%'
    order by t.tgname
"""

_ROW, _BEFORE = 1, 2
_EVENTS = {"insert": 4, "delete": 8, "update": 16}

SEARCH = ("tsvector_update_trigger", "tsvector_update_trigger_column")
"""The server's own triggers that keep a search column: their arguments name the columns."""

_PLACE = re.compile(r"\b(tg_(table_name|table_schema|relname|relid|when)|pg_trigger_depth)\b", re.I)

_GIVES_ID = re.compile(
    # An assignment by `:=`, by `=` where a statement begins, or as a target of INTO.
    r"""\bnew\W{1,6}id\b\W{0,4}:="""
    r"""|(?:^|;|\b(?:then|else|begin|loop))\s*new\W{1,6}id\b["'\]}]*\s*="""
    r"""|\binto\s+(?:strict\s+)?(?:[\w."]+\s*,\s*)*new\s*\.\s*"?id\b""",
    re.I | re.M,
)
"""How the functions of languages that people write triggers in give a new row its id."""


def make_trigger(name: str, relation: str, body: str) -> str:
    """A trigger, made anew: CREATE OR REPLACE TRIGGER came only with PostgreSQL 14.

    It fires for what a replica writes, too: a subscription, or a session that says it is one, must
    not write what nobody counts.
    """
    return (
        f"drop trigger if exists {name} on {relation}; create trigger {name} {body};"
        f" alter table {relation} enable always trigger {name}"
    )


@dataclass(frozen=True)
class Trigger:
    """One row trigger of the legacy table.

    Attributes:
        events: of "insert", "update", "delete".
        function: its quoted name.
        arguments: what it is called with.
        columns: of UPDATE OF.
        condition: of WHEN, in the legacy table's names, or "".
        gives_id: whether it gives new rows their id, as far as its function's text tells.
        obstacle: why it can't be carried, or "".
    """

    name: str
    is_before: bool
    events: tuple[str, ...]
    function: str
    arguments: tuple[str, ...]
    columns: tuple[str, ...]
    condition: str
    keeps_search: bool
    gives_id: bool
    obstacle: str


def read_triggers(connection: Connection, relation: str) -> list[Trigger]:
    """The enabled triggers of a table that are not ours, in the order in which they fire."""
    found = []
    for row in connection.execute(_TRIGGERS, (relation,)).fetchall():
        name, kind, function, language, proname, source, args, columns, has_when, text, odd = row
        builtin = language == "internal" and proname in SEARCH
        condition = ""
        if has_when:
            condition = text.partition(" WHEN ")[2].rpartition(" EXECUTE ")[0].strip()
        is_before = bool(kind & _BEFORE)
        events = tuple(event for event, bit in _EVENTS.items() if kind & bit)
        found.append(
            Trigger(
                name=name,
                is_before=is_before,
                events=events,
                function=function,
                arguments=tuple(a.decode() for a in bytes(args).split(b"\0")[:-1]),
                columns=tuple(columns),
                condition=condition,
                keeps_search=builtin,
                gives_id=is_before and "insert" in events and bool(_GIVES_ID.search(source)),
                obstacle=_obstacle(name, kind, language, source, builtin, condition, odd),
            )
        )
    return found


def _obstacle(
    name: str, kind: int, language: str, source: str, builtin: bool, condition: str, odd: bool
) -> str:
    if not kind & _ROW:
        return f"its trigger {name} fires for each statement and not for each row"
    if odd:
        return f"its trigger {name} is a constraint trigger, or reads transition tables"
    if builtin:
        return f"its trigger {name} has a condition" if condition else ""
    if language in ("internal", "c"):
        return f"its trigger {name} calls a function written in {language}"
    place = _PLACE.search(source) or _PLACE.search(condition)
    if place:
        return f"its trigger {name} asks for {place[1].lower()}, which the merge changes"
    return ""
