"""Writing a trace as the drifted gateway would have written it."""

from __future__ import annotations

from pathlib import Path

from omniledger.database import Connection
from omniledger.demo import trace
from omniledger.errors import InputError, NotReadyError
from omniledger.settings import PROJECT_DIR

SAMPLE = PROJECT_DIR / "samples" / "azure_llm_inference_2023_code.csv"

NOTE = (
    "Real are the arrival times and token counts of the requests. Invented, and derived from each "
    "request's line number, are users, servers, tools and tool calls, outcomes, durations, health "
    "checks, the three bad rows, and that no token was cached"
)

_MARK = "omniledger demo"

_IS_OURS = "select coalesce(obj_description(to_regnamespace('omni2'), 'pg_namespace') = %s, false)"

_IS_EMPTY = """
    select to_regnamespace('omni2') is null
        and to_regnamespace('auth_service') is null
        and to_regnamespace('ledger') is null
        and to_regclass('public.audit_logs') is null
        and to_regclass('public.users') is null
"""

_CLEAR = """
drop schema if exists analytics, analytics_build, ledger, omni2, auth_service cascade;
drop table if exists public.audit_logs, public.users cascade;
drop sequence if exists public.audit_logs_id_seq;
"""

_STAGE = """
create temporary table trace (
    number bigint, at timestamp with time zone, tokens_input integer, tokens_output integer
) on commit drop
"""

_SETTINGS = """
insert into ledger.settings (name, value)
values
(
    'as_of',
    greatest(
        (select max(timestamp) from omni2.audit_logs),
        (select max(timestamp) from omni2.mcp_health_log)
    )::text
),
('demo_note', %s)
on conflict (name) do update set value = excluded.value
"""


def load(connection: Connection, path: Path = SAMPLE, days: int = 1) -> int:
    """Fill an empty database, or one that an earlier demo filled, in one transaction.

    Args:
        connection: its transaction is committed.
        path: a trace of the form that `omniledger.demo.trace` reads.
        days: over how many days, back from its own, the trace's requests are dealt out.

    Returns:
        How many requests the trace holds.

    Raises:
        InputError: the trace can't be read, or holds nothing.
        NotReadyError: the database holds somebody's data.
    """
    with connection.transaction():
        _make_room(connection)
        connection.execute((PROJECT_DIR / "samples" / "gateway.sql").read_bytes())
        connection.execute(f"comment on schema omni2 is '{_MARK}'".encode())
        connection.execute(_STAGE)
        with connection.cursor().copy("copy trace from stdin") as copy:
            for request in trace.read(path):
                copy.write_row(request)
        row = connection.execute("select count(*) from trace").fetchone()
        requests = int(row[0]) if row else 0
        if requests == 0:
            raise InputError(f"{path} holds no request.")
        invent = Path(__file__).with_name("invent.sql").read_text(encoding="utf-8")
        connection.execute(invent.replace("{days}", str(int(days))).encode())
    return requests


def stop_clock(connection: Connection, days: int) -> None:
    """Tell an upgraded demo database that its now is the end of the trace, and what is invented."""
    spread = "" if days == 1 else f"; so is the day of each, dealt out over {days} days"
    connection.execute(_SETTINGS, (f"{NOTE}{spread}.",))


def _make_room(connection: Connection) -> None:
    if connection.execute(_IS_OURS, (_MARK,)).fetchone() == (True,):
        connection.execute(_CLEAR.encode())
    elif connection.execute(_IS_EMPTY).fetchone() != (True,):
        raise NotReadyError(
            "The database holds data that is not the demo's; give the demo an empty one in "
            "DATABASE_URL or, without that, an embedded one of its own in another OMNILEDGER_HOME."
        )
