"""What each figure means, and where it comes from: the words that dbt keeps on the marts' columns.

The models' YAML is the one source of a definition. dbt writes it to the database as comments
(`persist_docs`), and the report reads it there, in the snapshot of its figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from omniledger.report.formats import visible
from omniledger.report.snapshot import Snapshot

# The built mart has the newest words; a published one keeps those of the day it was made.
_DEFINITIONS = """
select
    published.relname as mart,
    columns.attname as "column",
    coalesce(
        (
            select col_description(built.attrelid, built.attnum)
            from pg_catalog.pg_attribute as built
            where
                built.attrelid = to_regclass('analytics_build.' || quote_ident(published.relname))
                and built.attname = columns.attname
        ),
        col_description(columns.attrelid, columns.attnum),
        ''
    ) as definition
from pg_catalog.pg_class as published
inner join pg_catalog.pg_namespace as schemas on published.relnamespace = schemas.oid
inner join pg_catalog.pg_attribute as columns on published.oid = columns.attrelid
where
    schemas.nspname = 'analytics'
    and published.relkind in ('r', 'p', 'v', 'm')
    and columns.attnum > 0
    and not columns.attisdropped
"""


@dataclass(frozen=True, slots=True)
class Term:
    """A figure by its mart and column, and what the column means."""

    mart: str
    column: str
    definition: str

    @property
    def href(self) -> str:
        """The column in dbt's page, as seen from the report."""
        return f"models/index.html#!/model/model.omniledger.{self.mart}#column-{self.column}"

    @property
    def anchor(self) -> str:
        """Where the report's own list of definitions has it."""
        return f"means-{self.mart}-{self.column}"


@dataclass(slots=True)
class Terms:
    """The definitions that are known, and those that a page has used so far."""

    known: Mapping[tuple[str, str], str]
    _used: dict[tuple[str, str], Term] = field(default_factory=dict)

    def use(self, mart: str, column: str) -> Term | None:
        """The term, noted for the list at the end of the page; None where nobody defined it."""
        definition = self.known.get((mart, column))
        if not definition:
            return None
        return self._used.setdefault((mart, column), Term(mart, column, definition))

    @property
    def used(self) -> Iterable[Term]:
        """The terms used so far, by mart and column."""
        return [self._used[key] for key in sorted(self._used)]


def read(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Every column's definition by mart and column, as plain text."""
    return {
        (row["mart"], row["column"]): visible(" ".join(row["definition"].replace("`", "").split()))
        for row in snapshot.catalog(_DEFINITIONS)
    }
