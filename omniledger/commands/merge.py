"""`omniledger merge`: the merge of the old audit table, run, watched, proved and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from migrations.merge.certify import Certificate
    from omniledger.counting import Count
    from omniledger.merging.status import Status
    from omniledger.merging.verifying import Verified


@click.group()
def merge() -> None:
    """The merge of the old audit table into the ledger.

    \b
    Example:
      omniledger merge status
    """


@merge.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def merge_status(as_json: bool) -> None:
    """Say where the merge stands. It reads only, and never long.

    \b
    Example:
      omniledger merge status --json
    """
    from omniledger.database import session
    from omniledger.merging import status
    from omniledger.settings import get_settings

    with session(autocommit=True) as connection:
        found = status.read(connection, get_settings())
    if as_json:
        print_document(found)
        return
    for name, value in _lines(found):
        click.echo(f"{name:<14}{value}")


def _lines(found: Status) -> list[tuple[str, str]]:
    from omniledger import revisions
    from omniledger.counting import plural
    from omniledger.merging.status import LOST
    from omniledger.moments import in_utc

    at_work = "; an upgrade or a merge is at work now" if found.at_work else ""
    lines = [("state", f"{found.state}{at_work}"), ("old table", found.legacy_table)]
    if found.state == LOST:
        lines.append(("do", revisions.SAY_AGAIN))
    if found.started_at:
        lines.append(("began", in_utc(found.started_at, with_seconds=True)))
    if found.certificate:
        lines.append(("certificate", found.certificate))
    elif found.total is not None:
        lines.append(("rows", _rows(found.done, found.total)))
    if found.certificate or found.done is not None:
        lines.append(("deleted since", f"{found.deleted:,}"))
        lines.append(("unmapped", plural(found.unmapped, "user")))
    for reason, rows in (found.quarantine or {}).items():
        lines.append(("quarantine", f"{rows:,}: {reason}"))
    return lines


def _rows(done: Count | None, total: Count) -> str:
    return f"{total} to merge" if done is None else f"{done} of {total}"


@merge.command("run")
@click.option(
    "--max-load",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of time in which it may be at work. Default: OMNILEDGER_MERGE_MAX_LOAD, 1.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 16),
    help="How many batches at once. Default: OMNILEDGER_MERGE_WORKERS, half the cores, at most 2.",
)
@click.option("--flow", is_flag=True, help="As the Prefect flow merge-legacy-audit.")
def merge_run(max_load: float | None, workers: int | None, flow: bool) -> None:
    """Run the merge, or go on with it. For one that was put off or interrupted.

    Ctrl-C is a pause: run it again and it goes on where it was.

    \b
    Example:
      omniledger merge run --max-load 0.3
    """
    import os

    if max_load is not None:
        os.environ["OMNILEDGER_MERGE_MAX_LOAD"] = str(max_load)
    if workers is not None:
        os.environ["OMNILEDGER_MERGE_WORKERS"] = str(workers)
    if flow:
        from omniledger.running import run_merge

        certificate = run_merge()
    else:
        certificate = _run_here()
    click.echo(f"{certificate.sentence()}." if certificate else "Nothing is left to merge.")


def _run_here() -> Certificate | None:
    from migrations.merge.progress import shown
    from omniledger.database import target
    from omniledger.merging import carrying
    from omniledger.screen import say, show_logs
    from omniledger.settings import get_settings

    show_logs("omniledger.merge")
    with shown() as show:
        return carrying.run(target(), get_settings(), show, say)


@merge.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def merge_verify(as_json: bool) -> None:
    """Prove the merge again, and the old name. Exit code: 0 proved, 9 not.

    Rows that were written again since the cut over are their writer's business, and counted.

    \b
    Example:
      omniledger merge verify --json
    """
    from omniledger.database import session
    from omniledger.errors import NotProved
    from omniledger.merging import verifying

    with session() as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        found = verifying.verify(connection)
    if as_json:
        print_document(_document(found))
    else:
        _show(found)
    if not found.holds:
        certificate = found.certificate
        why = [certificate.detail] if certificate and certificate.detail else []
        why += list(found.damage[:1])
        raise NotProved(f"The merge is not proved: {'; '.join(why).rstrip('.')}.")


def _document(found: Verified) -> dict[str, Any]:
    from dataclasses import asdict

    certificate = asdict(found.certificate) if found.certificate else None
    return {"holds": found.holds, "certificate": certificate, "damage": list(found.damage)}


def _show(found: Verified) -> None:
    if found.certificate is None:
        click.echo("No certificate: there is no old table, or nothing to compare it with.")
    else:
        click.echo(f"{found.certificate.sentence()}.")
        click.echo(f"{found.certificate.changed:,} copied rows were written again since.")
        for name, sides in found.certificate.sums.items():
            click.echo(f"  {name:<20}{sides['legacy']:>20} before{sides['ledger']:>20} now")
    for sentence in found.damage:
        click.echo(f"- {sentence}")


@merge.command("retry-quarantine")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def merge_retry_quarantine(as_json: bool) -> None:
    """Bring over what you mended in the quarantine. You mend ledger.audit_quarantine.row.

    \b
    Example:
      omniledger merge retry-quarantine
    """
    from migrations import turns
    from migrations.waiting import OWN_SESSION
    from omniledger.database import session, target
    from omniledger.merging import retrying
    from omniledger.screen import say, show_logs
    from omniledger.settings import get_settings

    show_logs("omniledger.waiting")
    with (
        turns.taken(target(), say),
        session(target(), autocommit=True, **OWN_SESSION) as connection,
    ):
        found = retrying.retry(connection, get_settings().match_window_seconds)
    if as_json:
        print_document(found)
        return
    click.echo(f"Brought over: {found.brought:,}. Still aside: {sum(found.still.values()):,}.")
    for reason, rows in found.still.items():
        click.echo(f"  {rows:,}: {reason}")
