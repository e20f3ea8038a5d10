"""The room that matched rows left in the ledger's pages, which new rows are kept out of.

Each matched row got a new version, and its old one leaves room for about one row. An INSERT that
takes it is nearly always the first in its page since the checkpoint, and logs all of the page.
"""

from __future__ import annotations

from psycopg import sql

from migrations.gateway import LEDGER
from migrations.memory import forget, note, noted
from omniledger.database import Connection

_PERCENT = "90"
"""How full an INSERT may make a page: what is left is more than one row's room, as a rule."""

_SETTING = "fill_factor"
"""JSON: table → the fill factor that it was given."""

_GIVEN = """
    select o.option_value
    from pg_class as c
    cross join lateral pg_options_to_table(c.reloptions) as o
    where c.oid = 'omni2.audit_logs'::regclass and o.option_name = 'fillfactor'
"""

_SET = sql.SQL("alter table {} set (fillfactor = {})").format(sql.SQL(LEDGER), sql.SQL(_PERCENT))
_RESET = sql.SQL("alter table {} reset (fillfactor)").format(sql.SQL(LEDGER))


def keep_out(connection: Connection) -> None:
    """Let INSERTs pass over what is left in pages, unless somebody chose otherwise.

    Locks: SHARE UPDATE EXCLUSIVE, which no writer waits for. Call it through `patiently`, after
    the copy, which is quicker where it fills its pages.
    """
    if connection.execute(_GIVEN).fetchone() is None:
        note(connection, _SETTING, LEDGER, _PERCENT)
        connection.execute(_SET)


def give_back(connection: Connection) -> None:
    """Let INSERTs fill pages as before, unless somebody chose otherwise since.

    Args:
        connection: inside the transaction of the way back.
    """
    ours = noted(connection, _SETTING).get(LEDGER)
    if ours is not None and connection.execute(_GIVEN).fetchone() == (ours,):
        connection.execute(_RESET)
    forget(connection, _SETTING, LEDGER)
