"""What a database said, in one sentence that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from omniledger.errors import DatabaseError, NotReadyError, OmniledgerError, PassingError

if TYPE_CHECKING:
    from omniledger.database import Dsn

_AGAIN = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock timeout: what the next attempt may not meet."""

_LINK_LOST = ("08000", "08001", "08003", "08004", "08006", "HV00N")
"""The states in which a database says that it could not reach another server, or lost it."""

_LASTING = "password|pg_hba|does not exist|could not translate"
"""The words for what of that doesn't pass by itself."""

_FULL = "too many (?:connections|clients)|connection slots are reserved|no more connections allowed"

_NOT_FOUND = ("42P01", "42883", "42704")
"""Of a table, a function and a type."""

_NO_LEDGER = re.compile(r'(?:relation|function) "?ledger\.|schema "ledger"')
"""How PostgreSQL names what an upgrade makes, where it isn't found."""

_FUNCTION = re.compile(r"function ([^\s(]+\([^)]*\))")
"""How PostgreSQL names the one in which an error was."""

_OF_RUNS = r"(?:table|view) (?:stg|int|fct|dim|contract)_"
"""What a relation is called that a run has made."""

_PASSING = re.compile(
    "server closed the connection|terminating connection|connection (?:already closed|refused)"
    "|could not connect|the database system is|could not serialize|deadlock detected"
    f"|due to lock timeout|{_FULL}",
    re.IGNORECASE,
)
"""The words of PostgreSQL and its drivers where a library keeps no more than those."""


def explained(error: BaseException, dsn: Dsn) -> OmniledgerError | None:
    """One sentence for what the database refused, or None for an error that isn't its own."""
    # SQLAlchemy wraps what the driver said.
    error = getattr(error, "orig", error)
    if not isinstance(error, psycopg.Error):
        return None
    if is_of_another_server(error):
        return _of_another_server(error, dsn)
    if error.sqlstate == "42501" and "row-level security" in str(error):
        return NotReadyError(
            f"{dsn.user} may not see every row: {first_line(error)}; `alter table ... no force row "
            f"level security`, or `alter role {dsn.user} bypassrls`, and run the command again."
        )
    if error.sqlstate == "42501":
        return NotReadyError(
            f"{dsn.user} may not do this: {first_line(error)}; "
            "run the command as the owner of the gateway's tables, or as a login with the role "
            f"for it (docs/security.md){_of_runners(error, dsn)}."
        )
    if error.sqlstate == "53100":
        return DatabaseError(
            f"The disk of {dsn.safe()} is full: {first_line(error)}; "
            "make room and run the command again, it goes on where it was."
        )
    if error.sqlstate == "25006":
        return takes_no_writes(dsn)
    if error.sqlstate in _AGAIN:
        return PassingError(
            f"Others were at work on the same rows or held a lock: {first_line(error)}; "
            "run the command again, it goes on where it was."
        )
    # Deadlocks, cancelled statements and values too long are operational errors, too, yet the
    # server is well.
    is_well = (error.sqlstate or "").startswith(("40", "54", "55", "57014"))
    is_of_connection = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if is_of_connection and not is_well:
        return unreachable(error, dsn)
    if error.sqlstate is None:
        return None
    if error.sqlstate in (*_NOT_FOUND, "3F000") and _NO_LEDGER.search(first_line(error)):
        return NotReadyError(
            f"{dsn.safe()} isn't upgraded to this omniledger ({first_line(error)}); run "
            "`alembic upgrade head` first."
        )
    return NotReadyError(
        f"The database refused a step: {first_line(error)}{_detail(error)}; {_mend(error)} and run "
        "the command again, it goes on where it was."
    )


def _mend(error: psycopg.Error) -> str:
    """What to do first: a function of the gateway's may need the path of its own sessions."""
    function = _FUNCTION.search(error.diag.context or "")
    if error.sqlstate not in _NOT_FOUND or function is None:
        return "mend that"
    return (
        f"where it is in another schema, let `alter function {function[1]} set search_path = ...` "
        "name that one, for our sessions have none,"
    )


def _of_runners(error: BaseException, dsn: Dsn) -> str:
    """What makes the owner of the gateway's tables one of those whose the marts are."""
    if not re.search(_OF_RUNS, str(error)):
        return ""
    return f"; what runs made is the runners': `grant omniledger_runner to {dsn.user}`"


def is_of_another_server(error: psycopg.Error) -> bool:
    """Whether the database passes on what became of a foreign table's server.

    It does so in an error as of any statement: a connection of our own that doesn't come about has
    no SQLSTATE, and one that ends has a FATAL error.
    """
    state = error.sqlstate or ""
    if state in _AGAIN or error.diag.severity_nonlocalized != "ERROR":
        return False
    is_remote = "remote SQL command" in (error.diag.context or "")
    return is_remote or state in _LINK_LOST or state.startswith("HV")


def said_by_another_server(error: psycopg.Error) -> str:
    """Why it can't be reached, in its own words or in those of the way to it."""
    details = (error.diag.message_detail or "").strip().splitlines()[:1]
    return ": ".join([first_line(error), *(detail.rstrip(".") for detail in details)])


def _of_another_server(error: psycopg.Error, dsn: Dsn) -> OmniledgerError:
    state = error.sqlstate or ""
    # A server that is being stopped says so itself.
    if state not in _LINK_LOST and not state.startswith("57P"):
        return NotReadyError(
            f"The server of a foreign table that {dsn.safe()} reads refused: {first_line(error)}; "
            "mend that there, or in the options of the foreign table or its server, and run the "
            "command again, it goes on where it was."
        )
    said = said_by_another_server(error)
    kind = DatabaseError if re.search(_LASTING, said) else PassingError
    return kind(
        f"{dsn.safe()} answers, but can't reach the server of a foreign table: {said}; start that "
        "server, or look at the options of the foreign server and of the user mapping, and run the "
        "command again, it goes on where it was."
    )


def _detail(error: psycopg.Error) -> str:
    """Which row it is about, or why; but not the whole row that a check has refused."""
    detail = error.diag.message_detail
    if not detail or error.sqlstate in ("23502", "23514"):
        return ""
    return f" ({' '.join(detail.split()).rstrip('.')})"


def takes_no_writes(dsn: Dsn) -> NotReadyError:
    """One sentence for a server that only reads."""
    return NotReadyError(
        f"{dsn.safe()} takes no writes, as a replica or a database set to read-only does; "
        "name the server that takes them in DATABASE_URL."
    )


def unreachable(error: psycopg.Error, dsn: Dsn) -> DatabaseError:
    """One sentence for a connection that didn't come about, or broke."""
    text = str(error).lower()
    kind = DatabaseError
    if "password authentication failed" in text or "no password supplied" in text:
        way_out = "the server refuses the user or the password; look at DATABASE_URL"
    elif "pg_hba" in text:
        way_out = (
            "the server's pg_hba.conf has no line for this user, database, machine and encryption; "
            "ask its administrator for one, or look at DATABASE_URL and its sslmode"
        )
    elif "certificate" in text:
        way_out = (
            "the server's certificate can't be checked; look at sslmode and sslrootcert in "
            "DATABASE_URL"
        )
    elif "ssl" in text:
        way_out = "the two sides don't agree on SSL; look at sslmode in DATABASE_URL"
    elif "does not exist" in text:
        way_out = "the server knows no such database or user; look at DATABASE_URL"
    elif "definition of service" in text or "service file" in text:
        way_out = (
            "PGSERVICE names a service that this machine doesn't know; unset it, for DATABASE_URL "
            "says where the database is"
        )
    elif "could not translate" in text or "resolve" in text or "name or service" in text:
        way_out = "the host name is unknown; look at DATABASE_URL"
    elif "refused" in text or "no such file" in text:
        kind = PassingError
        way_out = "nothing answers there; start the server or look at DATABASE_URL"
    elif "timeout" in text or "timed out" in text:
        kind = PassingError
        way_out = "the server doesn't answer in time; look at the network and at DATABASE_URL"
    elif re.search(_FULL, text):
        kind = PassingError
        way_out = (
            f"{first_line(error)}; end other sessions or allow more: an upgrade takes four and one "
            "for each worker of the merge, a run five"
        )
    else:
        kind = PassingError
        way_out = f"{first_line(error)}; run the command again when the server is well"
    return kind(f"Can't use the database {dsn.safe()}: {way_out}.")


def is_passing(text: str) -> bool:
    """Whether a library's words for an error are of a kind that passes (see `PassingError`)."""
    return _PASSING.search(text) is not None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the full stop at its end."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
