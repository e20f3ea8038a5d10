"""The flow that removes old raw rows, for installations that say how old they may get.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

import logging

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from omniledger.counting import plural
from omniledger.database import session, target
from omniledger.errors import SettingsError
from omniledger.pruning import removing
from omniledger.pruning.raw import first_kept
from omniledger.pruning.removing import Removed
from omniledger.settings import get_settings

KEY = "prune-raw"


# Without parameters: Prefect keeps a flow's parameters, and one of them would be a password.
@flow(name=KEY, retries=2, retry_delay_seconds=600)
def prune_raw() -> Removed:
    """Remove the raw rows that are older than the settings say; the figures stay.

    Raises:
        SettingsError: nothing says how old rows may get.
        NotReadyError: figures of those days aren't published, or their bill isn't settled.
    """
    settings = get_settings()
    if settings.raw_keep_days is None:
        raise SettingsError("Set OMNILEDGER_RAW_KEEP_DAYS: nothing says how old rows may get.")
    with session() as connection:
        before = first_kept(connection, settings, settings.raw_keep_days)
    log = logging.getLogger("omniledger.pruning")
    removed = removing.prune(target(), settings, before, archive=settings.raw_archive, say=log.info)
    lines = (f"- `omni2.{table}`: {plural(rows, 'row')}" for table, rows in removed.rows.items())
    told = "\n".join((f"Removed raw rows from before {removed.before}:", "", *lines))
    create_markdown_artifact(key=KEY, markdown=told)
    return removed
