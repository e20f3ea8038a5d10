"""The watch: a light look every few minutes, so that people are told soon.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from prefect import flow

from flows.retrying import retried
from omniledger.alerts.blind import told_when_blind
from omniledger.alerts.watching import Looked, look
from omniledger.database import session
from omniledger.settings import get_settings


@retried("look")
def look_once() -> Looked:
    """Look and tell, with the settings of this process."""
    with session() as connection:
        return look(connection, get_settings())


# Without parameters: Prefect keeps a flow's parameters, and one of them would be a password.
@flow(name="omniledger watch")
def watch() -> Looked:
    """Look at the live database and tell what is new; it builds and publishes nothing."""
    with told_when_blind(get_settings()):
        return look_once()
