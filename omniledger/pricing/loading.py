"""The price list into the ledger: what is new is added, what changed is closed, nothing edited.

A price that the list dates holds from that day on. One that it gives without a day, and otherwise
than it was loaded, holds from the moment of loading on: today's price says nothing of last year.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from omniledger.analytics.link import require_own
from omniledger.database import Connection
from omniledger.pricing import catalog
from omniledger.pricing.catalog import ListedModel
from omniledger.pricing.names import learn
from omniledger.pricing.own import follow_discounts
from omniledger.pricing.rates import RATE_COLUMNS, Priced, Rates
from omniledger.pricing.stretches import close

_EVER = datetime.min.replace(tzinfo=UTC)

_LOCK = "select pg_advisory_xact_lock(hashtext('omniledger price list'))"

_LOADED = "select value from ledger.settings where name = 'price_list'"

_REMEMBER = """
insert into ledger.settings (name, value) values ('price_list', %s)
on conflict (name) do update set value = excluded.value
"""

_KNOWN = f"""
select
    model, nullif(valid_from, '-infinity'), nullif(valid_to, 'infinity'),
    {", ".join(RATE_COLUMNS)}
from ledger.model_prices
where not is_own
order by model, valid_from
"""  # noqa: S608 (constants)

_ADD = f"""
insert into ledger.model_prices (model, valid_from, valid_to, source, {", ".join(RATE_COLUMNS)})
values (%s, coalesce(%s::timestamptz, '-infinity'), %s, %s, %s, %s, %s, %s, %s)
"""  # noqa: S608 (constants)


@dataclass
class Loaded:
    """What loading the list did, by model; `kept` says in words what of the past stays."""

    source: str
    models: int = 0
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


def load_if_new(connection: Connection) -> Loaded | None:
    """Load the installed price list where it isn't loaded yet; None where it is."""
    if connection.execute(_LOADED).fetchone() == (catalog.digest(),):
        return None
    loaded = load(connection, catalog.listed_models(), catalog.source())
    connection.execute(_REMEMBER, (catalog.digest(),))
    return loaded


def load(connection: Connection, models: Sequence[ListedModel], source: str) -> Loaded:
    """Put a price list into the ledger; loading it again changes nothing.

    Args:
        connection: its transaction holds the lock of the price list until it ends.
        models: the list.
        source: its name and version, which new rows carry.
    """
    require_own(connection)
    connection.execute(_LOCK)
    now = connection.execute("select now()").fetchone()
    names = learn(connection, models, source)
    known = _known(connection)
    done = Loaded(source, models=len(models))
    seen: set[str] = set()
    for listed in models:
        model = names[listed.name]
        # A second model of the same name, of another provider, comes too late.
        if model not in seen:
            seen.add(model)
            at = now[0] if now else datetime.now(UTC)
            _load_model(connection, done, model, listed.prices, known[model], at)
    done.unlisted = sorted(model for model in known if model not in seen)
    follow_discounts(connection)
    return done


def _known(connection: Connection) -> dict[str, list[Priced]]:
    known: dict[str, list[Priced]] = defaultdict(list)
    for model, start, end, *rates in connection.execute(_KNOWN.encode()):
        known[model].append(Priced(start, end, Rates(*rates)))
    return known


def _load_model(
    connection: Connection,
    done: Loaded,
    model: str,
    listed: Sequence[Priced],
    known: Sequence[Priced],
    now: datetime,
) -> None:
    if not known:
        _add(connection, model, listed, done.source)
        done.new.append(model)
        return
    stand = {price.valid_from: price for price in known}
    current = _last_at(now, listed)
    for price in listed:
        before = stand.get(price.valid_from)
        if before is None and price.valid_from is not None:
            following = [start for start in stand if start and start > price.valid_from]
            end = min([*following, *([price.valid_to] if price.valid_to else [])], default=None)
            stand[price.valid_from] = Priced(price.valid_from, end, price.rates)
            _change(connection, done, model, stand[price.valid_from])
        elif before is not None and before.rates != price.rates and price is not current:
            done.kept.append(_kept(model, price, before))
    in_force = _last_at(now, stand.values())
    # Of today's price the list may say what it said before another one was loaded.
    if current and in_force and current.rates != in_force.rates:
        _change(connection, done, model, Priced(now, None, current.rates))
        done.kept.append(f"{_kept(model, current, in_force)} until now")


def _last_at(now: datetime, prices: Iterable[Priced]) -> Priced | None:
    """The last price that has begun by `now`."""
    begun = [price for price in prices if price.valid_from is None or price.valid_from <= now]
    return max(begun, key=lambda price: price.valid_from or _EVER, default=None)


def _change(connection: Connection, done: Loaded, model: str, price: Priced) -> None:
    close(connection, model, price.valid_from, is_own=False)
    _add(connection, model, [price], done.source)
    if model not in done.changed:
        done.changed.append(model)


def _add(connection: Connection, model: str, prices: Iterable[Priced], source: str) -> None:
    for price in prices:
        connection.execute(
            _ADD.encode(),
            (model, price.valid_from, price.valid_to, source, *price.rates.values()),
        )


def _kept(model: str, listed: Priced, loaded: Priced) -> str:
    since = "ever" if listed.valid_from is None else f"{listed.valid_from:%Y-%m-%d}"
    return (
        f"{model}: the list now says {listed.rates.input} in and {listed.rates.output} out since "
        f"{since}, where {loaded.rates.input} and {loaded.rates.output} were loaded, which stay"
    )
