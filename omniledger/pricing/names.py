"""Which model a name means: one model for every name that gateways and providers give it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches

from omniledger.database import Connection
from omniledger.errors import InputError
from omniledger.pricing.catalog import ListedModel
from omniledger.strangers import visible

_FORMS = """
select name, ledger.bare_model_name(name), ledger.normal_model_name(name)
from unnest(%s::text[]) as names (name)
"""

_LEARN = """
insert into ledger.model_names (name, model, source)
select name, model, %(source)s
from unnest(%(names)s::text[], %(models)s::text[]) as learnt (name, model)
where name <> ''
on conflict (name) do nothing
"""


def canonical(connection: Connection, name: str) -> str | None:
    """The one model that a name means; None where nobody knows it."""
    row = connection.execute("select ledger.canonical_model(%s)", (name,)).fetchone()
    return row[0] if row else None


def nearest(connection: Connection, name: str) -> str | None:
    """The known name that looks most like an unknown one, if any does."""
    row = connection.execute("select ledger.normal_model_name(%s)", (name,)).fetchone()
    known = [known for (known,) in connection.execute("select name from ledger.model_names")]
    close = get_close_matches(row[0] if row else name, known, n=1, cutoff=0.6)
    return close[0] if close else None


def introduce(connection: Connection, name: str, source: str) -> str:
    """The model that a name means; one that nobody knows is a model of its own from now on.

    Raises:
        InputError: nothing is left of the name without what stands before and behind it, or a
            control character is in it.
    """
    normal = bare_of_all(connection, name)
    known = canonical(connection, name)
    if known is not None:
        return known
    _learn(connection, {normal: normal}, source)
    return normal


def bare_of_all(connection: Connection, name: str) -> str:
    """A name without what stands before and behind it.

    Raises:
        InputError: nothing is left of it, or a control character is in it.
    """
    if visible(name) != name:
        raise InputError(
            f"{name!r} has a tab, a line break or another control character in it; leave that out."
        )
    [(_, _, normal)] = connection.execute(_FORMS, ([name],)).fetchall()
    if not normal.strip():
        raise InputError(f"{name!r} names no model; give its name as your gateway writes it.")
    return str(normal)


def learn(connection: Connection, models: Iterable[ListedModel], source: str) -> dict[str, str]:
    """Learn the names of listed models, and return the model that each listed name means.

    A name that is known already keeps its meaning. A model is called by its normal name, or by its
    bare one where another model has that normal name: `gpt-4o-2024-05-13` had prices of its own.
    """
    listed = tuple(models)
    spelt = sorted({name for model in listed for name in (model.name, *model.aliases)})
    forms = {name: (bare, normal) for name, bare, normal in connection.execute(_FORMS, (spelt,))}

    owners: dict[str, set[str]] = defaultdict(set)
    for model in listed:
        owners[forms[model.name][1]].add(forms[model.name][0])
    called = {model.name: _called(*forms[model.name], owners) for model in listed}

    exact: dict[str, str] = {}
    loose: dict[str, str] = {}
    for model in listed:
        for name in (model.name, *model.aliases):
            bare, normal = forms[name]
            exact.setdefault(bare, called[model.name])
            if len(owners[normal]) < 2:
                loose.setdefault(normal, called[model.name])
    _learn(connection, {**loose, **exact, **{name: name for name in called.values()}}, source)
    return {
        name: canonical(connection, called_so) or called_so for name, called_so in called.items()
    }


def _called(bare: str, normal: str, owners: dict[str, set[str]]) -> str:
    return normal if bare == normal or owners[normal] == {bare} else bare


def _learn(connection: Connection, meanings: dict[str, str], source: str) -> None:
    connection.execute(
        _LEARN,
        {"source": source, "names": list(meanings), "models": list(meanings.values())},
    )
