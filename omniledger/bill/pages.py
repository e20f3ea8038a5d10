"""The provider's JSON: pages of buckets or rows, and where in them something stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from omniledger.bill import values
from omniledger.bill.facts import CACHE_WRITE_1H, CACHE_WRITE_5M, CACHED, INPUT, OUTPUT, Unreadable

TOKEN_TYPES: Mapping[str, str] = {
    "uncached_input_tokens": INPUT,
    "output_tokens": OUTPUT,
    "cache_read_input_tokens": CACHED,
    "cache_creation.ephemeral_5m_input_tokens": CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": CACHE_WRITE_1H,
}
"""What the provider calls the kinds of tokens, by ours."""


@dataclass(frozen=True)
class Page:
    """One answer of the API: its items, where they stand, and whether another page follows."""

    items: tuple[dict[str, Any], ...]
    position: str
    has_more: bool

    def placed(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each item with its position."""
        for number, item in enumerate(self.items):
            yield f"{self.position}data[{number}]", item


def parse(text: str) -> list[Page]:
    """The pages of a JSON text: one page, or an array of them.

    Raises:
        Unreadable: it is no JSON, or no page.
    """
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"line {error.lineno}, column {error.colno}",
            f"this is no JSON ({error.msg.lower()}); the file may be cut off",
        ) from None
    except (ValueError, RecursionError):
        raise Unreadable("", "this is no JSON that a bill could be") from None
    if isinstance(document, list):
        pages = [page(one, f"[{number}].") for number, one in enumerate(document)]
    else:
        pages = [page(document, "")]
    for number, one in enumerate(pages[:-1]):
        if not one.has_more:
            raise Unreadable(
                f"[{number}].has_more", "says that this page is the last, but another one follows"
            )
    return pages


def page(document: Any, position: str) -> Page:
    """One page of the API.

    Raises:
        Unreadable: it isn't one.
    """
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise Unreadable(position.rstrip("."), "there is no `data`, so it is no page of a report")
    items = document["data"]
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise Unreadable(f"{position}data[{number}]", "is no object")
    has_more = document.get("has_more", False)
    if not isinstance(has_more, bool):
        raise Unreadable(f"{position}has_more", "is neither true nor false")
    return Page(tuple(items), position, has_more)


def results(item: dict[str, Any], position: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The results of a bucket, each with its position."""
    found = item.get("results")
    if not isinstance(found, list):
        raise Unreadable(f"{position}.results", "is no list")
    for number, result in enumerate(found):
        place = f"{position}.results[{number}]"
        if not isinstance(result, dict):
            raise Unreadable(place, "is no object")
        yield place, result


def token_kind(value: Any, position: str) -> str:
    """Our name of a kind of tokens."""
    kind = TOKEN_TYPES.get(value) if isinstance(value, str) else None
    if kind is None:
        raise Unreadable(f"{position}.token_type", f"{value!r:.40} is no kind of tokens known here")
    return kind


def detail(result: dict[str, Any], *left_out: str) -> str:
    """Whatever else tells a result from others, as JSON in a fixed order."""
    rest = {
        name: value
        for name, value in sorted(result.items())
        if name not in left_out and value is not None and isinstance(value, str | int | dict)
    }
    return values.text(json.dumps(rest, sort_keys=True, default=str), "") or "" if rest else ""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
