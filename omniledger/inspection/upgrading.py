"""What `alembic upgrade head` would do, how much data that is, and what would stop it."""

from __future__ import annotations

from psycopg import sql

from migrations import hand_made, turns
from migrations.bounds import fired_by_copies
from migrations.legacy import inspect
from migrations.rights import owners, view_owners
from omniledger import revisions
from omniledger.errors import OmniledgerError
from omniledger.inspection.findings import Answer, Figure, State
from omniledger.inspection.looking import LEDGER, UPGRADE, Look
from omniledger.merging import status
from omniledger.settings import MIGRATIONS_DIR

_SIZE = "select pg_total_relation_size({}::regclass)"


def revision(look: Look) -> Answer:
    """Where the database is among the revisions."""
    at, head = look.revision, revisions.head()
    figures = (Figure("revision", at), Figure("newest", head))
    if look.is_revision_lost:
        return Answer(
            State.DRIFT,
            revisions.LOST,
            "No upgrade, run or merge begins before it is said again.",
            revisions.SAY_AGAIN,
            figures,
        )
    if at == head:
        return Answer(State.IN_ORDER, f"at revision {at}, the newest", figures=figures)
    if at is not None and at > head:
        return Answer(
            State.DRIFT,
            f"at revision {at}, newer than this omniledger, which knows {head}",
            "An omniledger of another version upgraded it.",
            "Install that version.",
            figures,
        )
    evidence = f"{revisions.said(at)}; the newest is {head}"
    return Answer(State.DRIFT, evidence, "", UPGRADE, figures)


def left(look: Look) -> Answer:
    """The revisions that are left, the rows to merge, and the first thing that can't be carried."""
    if look.is_revision_lost:
        return Answer(State.DRIFT, "unknown, for the revision is lost", "", revisions.SAY_AGAIN)
    at = look.revision
    pending = [title for number, title in _titles() if at is None or number > at]
    if not pending and not look.has_old_table:
        return Answer(State.IN_ORDER, "nothing")
    figures = [Figure("revisions", len(pending))]
    told = []
    if pending:
        told.append(_listed(pending))
    if turns.is_taken(look.connection):
        told.append("an upgrade or a merge is at work now")
    stop = _stop(look)
    if look.has_old_table:
        told.append(_to_merge(look, figures))
    if stop:
        return Answer(
            State.DRIFT,
            "; ".join(told),
            f"It would stop before it changed anything: {stop}",
            "See docs/operations.md, under 'What stops an upgrade'.",
            tuple(figures),
        )
    converted = [f"{c.column.name} from {c.column.type}" for c in _conversions(look)]
    if converted:
        told.append(f"it converts {', '.join(converted)}, made by hand")
    fired = fired_by_copies(look.connection) if look.has_old_table else []
    return Answer(
        State.DRIFT,
        "; ".join(told),
        f"Nothing is in its way; {_owners(look)}. Writers go on meanwhile.{_fired(fired)}",
        look.way_on,
        tuple(figures),
    )


def _listed(pending: list[str]) -> str:
    if len(pending) == 1:
        return f"1 revision, '{pending[0]}'"
    return f"{len(pending)} revisions, from '{pending[0]}' to '{pending[-1]}'"


def _titles() -> list[tuple[str, str]]:
    """Number and name of each revision, oldest first: the files are named after them."""
    files = sorted((MIGRATIONS_DIR / "versions").glob("[0-9]*_*.py"))
    pairs = (path.stem.split("_", 1) for path in files)
    return [(number, title.replace("_", " ")) for number, title in pairs]


def _to_merge(look: Look, figures: list[Figure]) -> str:
    if look.revision is not None and look.revision >= revisions.MERGED_AT:
        merge = status.read(look.connection, look.settings)
        done = f", {merge.done} done" if merge.done is not None else ""
        state = f" ({merge.state}{done})"
    else:
        state = ""
    count = look.count(look.old_name)
    name = sql.Identifier(*look.old_name).as_string(look.connection)
    row = look.connection.execute(sql.SQL(_SIZE).format(sql.Literal(name))).fetchone()
    size = int(row[0]) if row else 0
    figures += [Figure.of("rows to merge", count), Figure("bytes to merge", size)]
    return f"{count} old rows to merge, {size / 1e6:,.1f} MB with their indexes{state}"


def _stop(look: Look) -> str | None:
    try:
        inspect(look.connection, look.settings.legacy_schema, must_own=False)
    except OmniledgerError as error:
        return str(error)
    return None


def _conversions(look: Look) -> list[hand_made.Conversion]:
    return hand_made.conversions(look.connection) if look.kind(LEDGER) else []


def _fired(triggers: list[str]) -> str:
    """What else the copying sets off, which nothing takes back."""
    if not triggers:
        return ""
    return (
        f" Own triggers of omni2.audit_logs ({', '.join(triggers)}) fire for each old row too, and "
        "later for rows of the old name: where they must not, disable them for the upgrade, and "
        "make them anew after it, `when (new.legacy_id is null)`."
    )


def _owners(look: Look) -> str:
    """Who must run it: who owns the tables, and the views that are made again over the old name."""
    name = sql.Identifier(*look.old_name).as_string(look.connection)
    names = {owner for _, owner, _ in owners(look.connection, name)}
    if look.has_old_table:
        names |= view_owners(look.connection, name)
    return f"it must be run as {' and '.join(sorted(names))}" if names else "any user may run it"
