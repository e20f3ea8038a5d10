"""The watch: a light look every few minutes, so that people are told soon.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from prefect import flow

from omniledger.alerts import look
from omniledger.alerts.watching import Looked
from omniledger.database import session
from omniledger.settings import get_settings


# Without parameters: Prefect keeps a flow's parameters, and one of them would be a password.
@flow(name="omniledger watch", retries=2, retry_delay_seconds=5)
def watch() -> Looked:
    """Look at the live database and tell what is new; it builds and publishes nothing."""
    with session() as connection:
        return look(connection, get_settings())
