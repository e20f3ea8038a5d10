"""Let a merge take only its share: of time, and of what replicas can follow."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from decimal import Decimal

from omniledger.database import Connection

_log = logging.getLogger("omniledger.merge")

_ASK_AGAIN_SECONDS = 0.5
_TELL_EVERY_SECONDS = 30

# NULL where no replica follows, where all have caught up, and where the rights don't allow to
# see it (a role without pg_monitor or pg_read_all_stats).
_LAG = "select max(extract(epoch from replay_lag)) from pg_stat_replication"


@dataclass(frozen=True)
class Pace:
    """How hard a merge may work.

    Attributes:
        load: the share of time, above 0 and up to 1, in which a worker may be at work.
        max_lag_seconds: how far the slowest replica may lag behind before the merge waits.
    """

    load: Decimal = Decimal(1)
    max_lag_seconds: Decimal = Decimal(10)

    def rest(self, connection: Connection, worked_seconds: float) -> None:
        """Pause after a batch, outside of any transaction."""
        time.sleep(worked_seconds * (1 / float(self.load) - 1))
        self._let_replicas_follow(connection)

    def _let_replicas_follow(self, connection: Connection) -> None:
        told = -float("inf")
        while (lag := replication_lag(connection)) > self.max_lag_seconds:
            if time.monotonic() - told >= _TELL_EVERY_SECONDS:
                told = time.monotonic()
                _log.info("A replica is %.1f s behind; the merge waits for it.", lag)
            time.sleep(_ASK_AGAIN_SECONDS)


def replication_lag(connection: Connection) -> Decimal:
    """How many seconds the slowest replica is behind; 0 where none is, or none can be seen."""
    row = connection.execute(_LAG).fetchone()
    return Decimal(0) if row is None or row[0] is None else Decimal(row[0])
