"""`omniledger prune`: remove old raw rows; the figures made of them stay."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omniledger.documents import print_document

if TYPE_CHECKING:
    from omniledger.pruning.removing import Found, Removed
    from omniledger.settings import Settings


@click.command()
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The first reporting day whose rows stay.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(1, 36500),
    help="How many whole days before today stay. Default: OMNILEDGER_RAW_KEEP_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many rows and bytes would go.")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the rows to Parquet files in this folder first. Default: OMNILEDGER_RAW_ARCHIVE.",
)
@click.option("--unbilled", is_flag=True, help="Also days of which a bill isn't settled.")
@click.option("--flow", is_flag=True, help="As the Prefect flow prune-raw.")
@click.option("--json", "as_json", is_flag=True, help="Print what would go for programs.")
def prune(
    before: datetime | None,
    keep_days: int | None,
    dry_run: bool,
    archive: Path | None,
    unbilled: bool,
    flow: bool,
    as_json: bool,
) -> None:
    """Remove raw rows of old days; their figures stay. The days must be judged and published.

    The rows are of omni2.audit_logs and omni2.mcp_health_log. Killed at any point, it goes on
    where it was when it is run again.

    \b
    Example:
      omniledger prune --keep-days 400 --dry-run
    """
    from omniledger.errors import SettingsError
    from omniledger.settings import get_settings

    if as_json and not dry_run:
        raise SettingsError("--json is of --dry-run; give both, or neither.")
    settings = get_settings()
    if flow:
        if before or keep_days or dry_run or archive or unbilled:
            raise SettingsError(
                "--flow takes nothing else: OMNILEDGER_RAW_KEEP_DAYS and OMNILEDGER_RAW_ARCHIVE "
                "say what it does."
            )
        from omniledger.running import run_prune

        _tell(run_prune())
        return
    first = _first_kept(before, keep_days, settings)
    if dry_run:
        _look(settings, first, unbilled, as_json)
    else:
        _prune(settings, first, archive or settings.raw_archive, unbilled)


def _first_kept(before: datetime | None, keep_days: int | None, settings: Settings) -> date:
    from omniledger.database import session
    from omniledger.errors import SettingsError
    from omniledger.pruning.raw import first_kept

    if before is not None and keep_days is not None:
        raise SettingsError("--before and --keep-days exclude each other; give one of them.")
    if before is not None:
        return before.date()
    keep = keep_days or settings.raw_keep_days
    if keep is None:
        raise SettingsError(
            "Nothing says how old rows may get; give --keep-days or --before, or set "
            "OMNILEDGER_RAW_KEEP_DAYS."
        )
    with session() as connection:
        return first_kept(connection, settings, keep)


def _look(settings: Settings, before: date, unbilled: bool, as_json: bool) -> None:
    from omniledger.counting import plural
    from omniledger.database import target
    from omniledger.pruning.removing import look

    looked = look(target(), settings, before, unbilled=unbilled)
    if as_json:
        print_document({"before": looked.before, "tables": looked.tables})
        return
    for found in looked.tables:
        rows = f"{plural(found.rows, 'row')} from before {looked.before}"
        staying = _staying(found)
        click.echo(f"omni2.{found.table}: {rows} would go, {found.size:,} bytes{staying}.")


def _staying(found: Found) -> str:
    from omniledger.counting import plural

    if not found.staying:
        return ""
    rows = plural(found.staying, "older row stays", "older rows stay")
    return f"; {rows}: {found.stays_because}"


def _prune(settings: Settings, before: date, archive: Path | None, unbilled: bool) -> None:
    from omniledger.database import target
    from omniledger.pruning import removing

    def say(text: str) -> None:
        click.echo(text, err=True)

    archive = archive.absolute() if archive else None
    _tell(removing.prune(target(), settings, before, archive=archive, unbilled=unbilled, say=say))


def _tell(removed: Removed) -> None:
    from omniledger.counting import plural

    for table, rows in removed.rows.items():
        gone = f"{plural(rows, 'row')} removed; those from {removed.before} on stay"
        click.echo(f"omni2.{table}: {gone}.")
    if removed.archive is not None and any(removed.rows.values()):
        click.echo(f"They are in {removed.archive}.")
