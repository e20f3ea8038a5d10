"""The flows, each called once in this process."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from omniledger import revisions
from omniledger.database import Connection, session
from omniledger.roles import require_no_superuser
from omniledger.sessions import require_lasting
from omniledger.settings import Settings, get_settings

if TYPE_CHECKING:
    from migrations.merge.certify import Certificate
    from omniledger.pruning.removing import Removed
    from omniledger.publish import Published

IMPORTING = "omniledger imports"
"""The thread that imports what a run takes later."""


def run_daily() -> Published:
    """Run the flow on the database of the settings; its errors come out as they are."""
    wait_for_prefect = _begin(_require_marts)
    # Prefect first: it keeps its loggers from those that the others would set up.
    from flows.daily import daily

    threading.Thread(target=_warm_up, name=IMPORTING, daemon=True).start()
    wait_for_prefect()
    return daily()


def wait_for_imports() -> None:
    """Wait until nothing is imported beside: half a module is worse than none."""
    for thread in threading.enumerate():
        if thread.name == IMPORTING:
            thread.join()


def run_merge() -> Certificate | None:
    """Merge the old audit table as a flow; its errors come out as they are."""
    wait_for_prefect = _begin(revisions.require_schema_steps)
    from flows.merge import merge_legacy_audit

    wait_for_prefect()
    return merge_legacy_audit()


def run_prune() -> Removed:
    """Remove old raw rows as a flow; its errors come out as they are."""
    wait_for_prefect = _begin(_require_marts)
    from flows.prune import prune_raw

    wait_for_prefect()
    return prune_raw.with_options(retries=0)()


def _require_marts(connection: Connection) -> None:
    """Refuse a database that isn't upgraded, and a login that must not work on its marts."""
    revisions.require_head(connection)
    require_no_superuser(connection)


def _begin(require_ready: Callable[[Connection], object]) -> Callable[[], None]:
    """Refuse a database that isn't ready at once, for Prefect takes seconds to come up; start it.

    Returns:
        As `_start_prefect`.
    """
    with session(autocommit=True) as connection:
        require_lasting(connection)
        require_ready(connection)
    return _start_prefect(get_settings())


def _start_prefect(settings: Settings) -> Callable[[], None]:
    """Set Prefect up, and start a server for this run before the imports that take as long.

    It ends at the exit, after Prefect has sent it the last records. The operator's own, where
    there is one, is used instead.

    Returns:
        What waits until the server answers.
    """
    from flows.environment import prepare

    prepare(settings)
    from omniledger.ports import free_port
    from omniledger.scheduling.prefect_server import PrefectServer, require_usable

    if given := os.environ.get("PREFECT_API_URL"):
        require_usable(given)
        return lambda: None

    server = PrefectServer(settings.home / "prefect" / "server.log", free_port(), schedules=False)
    os.environ["PREFECT_API_URL"] = server.api_url
    atexit.register(server.stop)
    server.start()
    return server.wait


def _warm_up() -> None:
    """Import what takes seconds, in the order of need, while the flow waits for its server."""
    from expectations import gate
    from omniledger import modelling, report

    for heavy in (modelling, gate, report):
        heavy.warm_up()
