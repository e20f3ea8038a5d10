"""The flow that merges the old audit table in the background, for installations that put it off.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

import logging
import time

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.artifacts import Bar
from migrations.merge.batches import Progress
from migrations.merge.certify import Certificate
from omniledger.database import target
from omniledger.merging import carrying
from omniledger.settings import get_settings

KEY = "merge-legacy-audit"

_SHOW_EVERY_SECONDS = 2


class _Shown:
    """The progress artifact, brought up to date every few seconds."""

    def __init__(self) -> None:
        self._bar = Bar(KEY, "Old rows that are in the ledger.")
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last < _SHOW_EVERY_SECONDS:
            return
        self._last = time.monotonic()
        told = f"{progress.step}: {progress.done:,} of {progress.total:,} old rows."
        self._bar.at(progress.done / max(progress.total, 1), told)

    def end(self, told: str) -> None:
        self._bar.at(1, told)


# Without parameters: Prefect keeps a flow's parameters, and one of them would be a password.
@flow(name=KEY)
def merge_legacy_audit() -> Certificate | None:
    """Merge, or go on with the merge, on the database of the settings.

    Raises:
        NotReadyError: the schema steps are not done, or the merge can't be done or proved.
        DatabaseError: the database went away, or others held a lock for too long.
    """
    shown = _Shown()
    log = logging.getLogger("omniledger.merge")
    certificate = carrying.run(target(), get_settings(), shown, log.info)
    told = f"{certificate.sentence()}." if certificate else "Nothing was left to merge."
    shown.end(told)
    create_markdown_artifact(key=f"{KEY}-certificate", markdown=told)
    return certificate
