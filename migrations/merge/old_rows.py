"""What an old row means to the ledger, as SQL for the legacy table that was found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from psycopg import sql

from migrations.legacy import ARCHIVE, SUMMED, Legacy


@dataclass(frozen=True)
class OldRows:
    """The rows of one legacy table: where they are, and what each means to the ledger.

    Attributes:
        legacy: the table as it was found.
        archived: whether it lies in `ledger` already, so that it is read there.
    """

    legacy: Legacy
    archived: bool = False

    @cached_property
    def table(self) -> sql.Composable:
        """Where the old rows are."""
        return self.archive if self.archived else sql.SQL(self.legacy.relation)

    @property
    def archive(self) -> sql.Composable:
        """Where they go."""
        return sql.Identifier("ledger", ARCHIVE)

    @cached_property
    def carried(self) -> list[tuple[str, str]]:
        """Name and target of each column but the id."""
        return [(c.name, c.target) for c in self.legacy.columns if c.name != "id"]

    @property
    def total(self) -> sql.Composable | None:
        """The total of a row's split, where the legacy table has a split and no total."""
        return None if self.value("llm_tokens_used") is not None else self.split_total

    @cached_property
    def split_total(self) -> sql.Composable | None:
        """The total of a row's split, where the legacy table has a split.

        NULL where a count is impossible or the sum is too large for the total's type.
        """
        counts = [v for v in map(self.value, SUMMED[:4]) if v is not None]
        if not counts:
            return None
        summed = sql.SQL(" + ").join(
            sql.SQL("coalesce({}, 0)::numeric").format(count) for count in counts
        )
        return sql.SQL(
            "case when least({counts}) >= 0 and coalesce({first}) is not null"
            " and {summed} <= 2147483647 then ({summed})::integer end"
        ).format(
            counts=sql.SQL(", ").join(counts),
            first=sql.SQL(", ").join(counts[:2]),
            summed=summed,
        )

    def value(self, target: str) -> sql.Composable | None:
        """What the old row `l` gives a column of the ledger, or None where it gives nothing."""
        column = self.legacy.by_meaning.get(target)
        if column is None:
            return None
        value = sql.SQL("l.") + sql.Identifier(column.name)
        return sql.SQL(column.formula).format(value) if column.derives == target else value

    @property
    def person(self) -> sql.Composable:
        """The user of the old row `l`, under the old number."""
        return self.value("legacy_user_id") or sql.SQL("null::bigint")

    @property
    def cost(self) -> sql.Composable:
        """The cost of the old row `l`."""
        return self.value("cost_usd") or sql.SQL("null::numeric")

    @cached_property
    def complaint(self) -> sql.Composable:
        """Why the ledger can't hold an old row `l`; NULL where it can."""
        return sql.SQL("ledger.audit_complaint({}, {})").format(self.meanings["time"], self.cost)

    @property
    def sound(self) -> sql.Composable:
        """Whether the ledger can hold an old row `l`.

        A CASE, so that the planner takes it for one row in two: it takes IS NULL for one in two
        hundred, and then joins thousands of rows by comparing each with each.
        """
        return sql.SQL("case when {} is null then true end").format(self.complaint)

    @property
    def meanings(self) -> dict[str, sql.Composable]:
        """The person, the text and the time of the old row `l`, by which requests are matched.

        Texts are compared byte by byte, whatever the collations of the two columns.
        """
        text = self.value("question") or sql.SQL("null::text")
        return {
            "person": self.person,
            "text": sql.SQL('({} collate "C")').format(text),
            "time": self.value("timestamp") or sql.SQL("null::timestamptz"),
        }
