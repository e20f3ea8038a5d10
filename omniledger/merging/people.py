"""Who is who: the operator's word on the users under the old name, and the rows that follow it."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from migrations import turns
from migrations.legacy import ARCHIVE, Legacy
from migrations.merge.record import last_done
from migrations.merge.users import user_table
from omniledger.analytics.link import require_own
from omniledger.database import Connection
from omniledger.errors import InputError, NotReadyError
from omniledger.revisions import require_schema_steps
from omniledger.settings import Settings

_SETTLE_SECONDS = 10
"""How long to wait for transactions that began before the map changed."""

_LARGEST_ID = {"legacy": 2**63 - 1, "gateway": 2**31 - 1}

_LIST = """
    with written as (
        select l.user_id::bigint as id, count(*) as requests
        from {log} as l
        where l.user_id is not null
        group by 1
    ),

    known as (select u.id::bigint as id, u.email from {users} as u)

    select
        coalesce(written.id, known.id) as id,
        known.email,
        ledger.resolve_user(coalesce(written.id, known.id)) as user_id,
        coalesce(m.how, case when ledger.resolve_user(coalesce(written.id, known.id)) is not null
            then {how} end) as how,
        coalesce(written.requests, 0) as requests
    from written
    full join known on written.id = known.id
    left join ledger.user_map as m on coalesce(written.id, known.id) = m.legacy_user_id
    order by 1
"""

_IS_KNOWN = """
    select
        exists (select from {users} as u where u.id = %(id)s)
        or exists (select from {log} as l where l.user_id = %(id)s)
"""

# Earlier users are remembered until no row carries them, so that a killed correction goes on.
_MAP = """
    insert into ledger.user_map as m (legacy_user_id, user_id, how)
    values (%(legacy)s, %(user)s, %(how)s)
    on conflict (legacy_user_id) do update
        set
            user_id = excluded.user_id,
            how = excluded.how,
            replaces = array_remove(m.replaces || m.user_id, excluded.user_id)
"""

# Only what came from the map: never the gateway's own rows, nor a user that somebody else set.
_CORRECT = """
    update omni2.audit_logs
    set user_id = %(user)s
    where id in (
        select a.id
        from omni2.audit_logs as a
        where
            a.legacy_user_id = %(legacy)s
            and a.source_system <> 'gateway'
            and (a.user_id is null or a.user_id = any(%(replaces)s))
            and a.user_id is distinct from %(user)s
        limit 5000
    )
"""

_NEXT_XID = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_OLDEST_XID = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True)
class Person:
    """A user under the old name, and who that is among the gateway's users.

    Attributes:
        how: by "e-mail", by the "operator", as "one id space", or None where nobody was found.
        requests: rows under the old name.
    """

    legacy_id: int
    email: str | None
    user_id: int | None
    how: str | None
    requests: int


@dataclass(frozen=True)
class Corrected:
    """What a change of the map did to rows that were there.

    Attributes:
        is_settled: False where transactions that began before the change were still open at the
            end, so that what they wrote may follow the old map; the same command corrects it.
    """

    rows: int
    is_settled: bool = True


class People:
    """The two lists of users that one database has."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        """Look where they are.

        Args:
            connection: an autocommit connection.

        Raises:
            NotReadyError: the database isn't upgraded.
        """
        require_schema_steps(connection)
        require_own(connection)
        done = last_done(connection)
        legacy = done.legacy if done else Legacy(settings.legacy_schema, ())
        archived = f"ledger.{ARCHIVE}" if done and done.legacy.has_table else None
        found = user_table(connection, legacy, archived)
        self._connection = connection
        self.is_one_space = found is None
        self._names = {
            "users": sql.Identifier(*(found or ("auth_service", "users"))),
            "log": sql.SQL(legacy.relation),
        }

    def everybody(self) -> list[Person]:
        """All users who wrote under the old name, or could."""
        how = sql.Literal("one id space" if self.is_one_space else "e-mail")
        query = sql.SQL(_LIST).format(how=how, **self._names)
        return [Person(*row) for row in self._connection.execute(query)]

    def map(self, pairs: Sequence[tuple[int, int]]) -> Corrected:
        """Write down who is who, as the operator says, and correct the rows that are there.

        Args:
            pairs: the id under the old name and the gateway's id; all are known or none is taken.

        Raises:
            InputError: an id is nobody's.
            NotReadyError: a merge is at work, which read the map as it was.
        """
        self._require_quiet()
        for legacy, user in pairs:
            self._require_known(legacy)
            self._require_gateway_user(user)
        with self._connection.transaction():
            for legacy, user in pairs:
                self._connection.execute(_MAP, {"legacy": legacy, "user": user, "how": "operator"})
        return self._follow([legacy for legacy, _ in pairs])

    def unmap(self, legacy: int) -> Corrected:
        """Take the operator's word back; the e-mail decides again, as for everybody.

        Raises:
            InputError: the operator said nothing about this user.
            NotReadyError: a merge is at work, which read the map as it was.
        """
        self._require_quiet()
        with self._connection.transaction():
            taken = self._connection.execute(
                "delete from ledger.user_map where legacy_user_id = %s and how = 'operator'"
                " returning user_id, replaces",
                (legacy,),
            ).fetchone()
            if taken is None:
                raise InputError(
                    f"You never said who the user {legacy} is; "
                    "`omniledger users list` shows what is known."
                )
            earlier = [taken[0], *taken[1]]
            found = self._connection.execute("select ledger.resolve_user(%s)", (legacy,)).fetchone()
            user = found[0] if found else None
            if user is not None:
                self._connection.execute(
                    "insert into ledger.user_map (legacy_user_id, user_id, how, replaces)"
                    " values (%s, %s, %s, %s)",
                    (legacy, user, "one id space" if self.is_one_space else "e-mail", earlier),
                )
        if user is not None:
            return self._follow([legacy])
        return self._settle([(legacy, None, earlier)])

    def _require_quiet(self) -> None:
        if turns.is_taken(self._connection):
            raise NotReadyError(
                "An upgrade or a merge is at work; stop it, map the users and start it again (it "
                "goes on where it was), or wait until it has ended."
            )

    def _require_known(self, legacy: int) -> None:
        if abs(legacy) <= _LARGEST_ID["legacy"]:
            query = sql.SQL(_IS_KNOWN).format(**self._names)
            if self._connection.execute(query, {"id": legacy}).fetchone() == (True,):
                return
        raise InputError(
            f"Nobody has the id {legacy} under the old name; `omniledger users list` shows who is "
            "there."
        )

    def _require_gateway_user(self, user: int) -> None:
        if abs(user) <= _LARGEST_ID["gateway"]:
            query = "select exists (select from auth_service.users where id = %s)"
            if self._connection.execute(query, (user,)).fetchone() == (True,):
                return
        raise InputError(f"The gateway has no user {user}; look into auth_service.users.")

    def _follow(self, legacy_ids: list[int]) -> Corrected:
        rows = self._connection.execute(
            "select legacy_user_id, user_id, replaces from ledger.user_map"
            " where legacy_user_id = any(%s)",
            (legacy_ids,),
        ).fetchall()
        corrected = self._settle(rows)
        if corrected.is_settled:
            self._connection.execute(
                "update ledger.user_map set replaces = '{}' where legacy_user_id = any(%s)",
                (legacy_ids,),
            )
        return corrected

    def _settle(self, changes: Sequence[tuple[int, int | None, list[int]]]) -> Corrected:
        """Correct rows until none can be left that was written by the old map."""
        barrier = self._number(_NEXT_XID)
        give_up = time.monotonic() + _SETTLE_SECONDS
        rows = 0
        while True:
            is_settled = self._number(_OLDEST_XID) >= barrier
            for legacy, user, replaces in changes:
                rows += self._correct(legacy, user, replaces)
            if is_settled or time.monotonic() > give_up:
                return Corrected(rows, is_settled)
            time.sleep(0.2)

    def _correct(self, legacy: int, user: int | None, replaces: list[int]) -> int:
        values = {"legacy": legacy, "user": user, "replaces": replaces}
        corrected = 0
        while batch := self._connection.execute(_CORRECT, values).rowcount:
            corrected += batch
        return corrected

    def _number(self, query: str) -> int:
        row = self._connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0


def read_pairs(path: Path) -> list[tuple[int, int]]:
    """Read `legacy_id,user_id` lines.

    Raises:
        InputError: the file can't be read as that; the sentence names the line.
    """
    wanted = ["legacy_id", "user_id"]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != wanted:
                raise InputError(
                    f"{path} is no user map: its first line must be legacy_id,user_id."
                )
            pairs = []
            for row in reader:
                try:
                    pairs.append((int(row["legacy_id"]), int(row["user_id"])))
                except (ValueError, TypeError):
                    raise InputError(
                        f"Line {reader.line_num} of {path} is not two numbers; nothing was mapped."
                    ) from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} can't be read: {error}.") from None
    if len({legacy for legacy, _ in pairs}) != len(pairs):
        raise InputError(f"{path} names a user twice; nothing was mapped.")
    return pairs
