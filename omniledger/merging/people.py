"""Who is who: the operator's word on the users under the old name, and the rows that follow it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from migrations import turns
from migrations.legacy import ARCHIVE, Legacy
from migrations.memory import forget, note, noted
from migrations.merge.record import last_done
from migrations.merge.users import user_table
from omniledger.analytics.link import require_own
from omniledger.database import Connection
from omniledger.errors import InputError, NotReadyError
from omniledger.merging.correcting import LOCK, TAKE_TURN, UNMAPPED, Corrected, correct
from omniledger.revisions import require_schema_steps
from omniledger.settings import Settings

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

_STOP_MERGES = "select pg_try_advisory_xact_lock(%s)"

# Earlier users are remembered until no row carries them, so that a killed correction goes on. Whom
# nobody has noted yet was found by e-mail, or is the same number, at each write.
_MAP = """
    insert into ledger.user_map as m (legacy_user_id, user_id, how, replaces)
    select
        %(legacy)s, %(user)s, %(how)s,
        array_remove(
            array_remove(ledger.resolve_user(%(legacy)s) || %(earlier)s::integer [], null), %(user)s
        )
    on conflict (legacy_user_id) do update
        set
            user_id = excluded.user_id,
            how = excluded.how,
            replaces = array_remove(
                m.replaces || m.user_id || %(earlier)s::integer [], excluded.user_id
            )
"""

# Also what an unmapping that was killed, or met open transactions, has left to correct.
_UNMAP = """
    delete from ledger.user_map
    where legacy_user_id = %s and (how = 'operator' or replaces <> '{}')
    returning user_id || replaces
"""


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
        with self._changing():
            unmapped = noted(self._connection, UNMAPPED)
            for legacy, user in pairs:
                self._require_known(legacy)
                self._require_gateway_user(user)
            for legacy, user in pairs:
                earlier = unmapped.get(str(legacy), [])
                values = {"legacy": legacy, "user": user, "how": "operator", "earlier": earlier}
                self._connection.execute(_MAP, values)
                if earlier:
                    forget(self._connection, UNMAPPED, str(legacy))
        return correct(self._connection, [legacy for legacy, _ in pairs])

    def unmap(self, legacy: int) -> Corrected:
        """Take the operator's word back; the e-mail decides again, as for everybody.

        Raises:
            InputError: the operator said nothing about this user.
            NotReadyError: a merge is at work, which read the map as it was.
        """
        with self._changing():
            earlier = noted(self._connection, UNMAPPED).get(str(legacy), [])
            taken = self._connection.execute(_UNMAP, (legacy,)).fetchone()
            if taken is None and not earlier:
                raise InputError(
                    f"You never said who the user {legacy} is; "
                    "`omniledger users list` shows what is known."
                )
            earlier = sorted({*earlier, *(taken[0] if taken else ())})
            found = self._connection.execute("select ledger.resolve_user(%s)", (legacy,)).fetchone()
            user = found[0] if found else None
            if user is None:
                note(self._connection, UNMAPPED, str(legacy), earlier)
            else:
                how = "one id space" if self.is_one_space else "e-mail"
                values = {"legacy": legacy, "user": user, "how": how, "earlier": earlier}
                self._connection.execute(_MAP, values)
                forget(self._connection, UNMAPPED, str(legacy))
        return correct(self._connection, [legacy])

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A transaction that changes the map, while nobody else does and no merge reads it.

        Raises:
            NotReadyError: a merge is at work.
        """
        with self._connection.transaction():
            self._connection.execute(TAKE_TURN, (LOCK,))
            if self._connection.execute(_STOP_MERGES, (turns.LOCK,)).fetchone() != (True,):
                raise NotReadyError(
                    "An upgrade or a merge is at work; stop it, map the users and start it again "
                    "(it goes on where it was), or wait until it has ended."
                )
            yield

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
