"""The flows, each called once in this process."""

from __future__ import annotations

import atexit
import gc
import threading
from typing import TYPE_CHECKING

from omniledger import revisions
from omniledger.database import session
from omniledger.revisions import require_schema_steps
from omniledger.settings import get_settings

if TYPE_CHECKING:
    from migrations.merge.certify import Certificate
    from omniledger.publish import Published


def run_daily() -> Published:
    """Run the flow on the database of the settings; its errors come out as they are."""
    # Prefect takes seconds to come up; a database that isn't ready is told at once.
    with session() as connection:
        revisions.require_head(connection)
    _collect_garbage_seldom()
    from flows.environment import prepare

    prepare(get_settings())
    from flows.daily import daily

    threading.Thread(target=_warm_up, daemon=True).start()
    return daily()


def run_merge() -> Certificate | None:
    """Merge the old audit table as a flow; its errors come out as they are."""
    with session() as connection:
        require_schema_steps(connection)
    from flows.environment import prepare

    prepare(get_settings())
    from flows.merge import merge_legacy_audit

    return merge_legacy_audit()


def _collect_garbage_seldom() -> None:
    """Spare the collector millions of objects that live as long as this process.

    The libraries' modules are all that there is much of; walking them again and again costs a run
    a quarter of its time, and at the end the interpreter would do it once more.
    """
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)


def _warm_up() -> None:
    """Import what takes seconds, in the order of need, while the flow waits for its server."""
    from expectations import gate
    from omniledger import modelling, report

    for heavy in (modelling, gate, report):
        heavy.warm_up()
