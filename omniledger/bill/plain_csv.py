"""A CSV that anybody can write: date, model and kind, with tokens, US dollars, or both.

`docs/bill.md` says what each column is. A file with no column `cost_usd` says nothing of cost, and
one with no column `tokens` nothing of usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from omniledger.bill import values
from omniledger.bill.facts import TOKEN_KINDS, TOKENS, WEB_SEARCH, Fact, Unreadable

NAME = "plain"
COLUMNS = ("date", "model", "kind")
FIGURES = ("tokens", "cost_usd")
"""The columns of which a file has at least one."""

_NO_KINDS = frozenset((TOKENS, "token", "cache_write", "unsplit"))
"""Words for tokens that are no kind of a bill's; as charges of another sort they would mislead."""

Row = Mapping[str, str]


def facts(rows: Iterable[tuple[str, Row]]) -> Iterator[Fact]:
    """What a file says, of rows with their positions.

    Raises:
        Unreadable: something in it can't be read.
    """
    for position, row in rows:
        start, end = values.day(row["date"], f"{position}, date")
        model, kind = values.text(row["model"], f"{position}, model"), row["kind"].strip()
        is_tokens = kind in TOKEN_KINDS
        if not kind:
            raise Unreadable(f"{position}, kind", "is empty")
        if not is_tokens and kind.lower() in _NO_KINDS.union(TOKEN_KINDS):
            raise _no_kind(kind, position)
        if is_tokens and model is None:
            raise Unreadable(f"{position}, model", "is empty")
        tier = values.text(row.get("tier"), f"{position}, tier")
        workspace = values.text(row.get("workspace"), f"{position}, workspace")
        if "currency" in row:
            values.in_dollars(row["currency"] or None, f"{position}, currency")
        if row.get("tokens") or (is_tokens and "tokens" in row):
            if not is_tokens and kind != WEB_SEARCH:
                raise _no_kind(kind, position)
            yield Fact(
                "usage",
                start,
                end,
                position,
                model=model,
                kind=kind,
                quantity=values.tokens(row["tokens"], f"{position}, tokens"),
                tier=tier,
                workspace=workspace,
            )
        elif "tokens" in row:
            yield Fact("usage", start, end, position)
        if "cost_usd" in row:
            before = row.get("list_cost_usd")
            yield Fact(
                "cost",
                start,
                end,
                position,
                model=model,
                kind=kind if is_tokens else None,
                cost_type=TOKENS if is_tokens else kind,
                amount=values.dollars(row["cost_usd"], f"{position}, cost_usd"),
                list_amount=values.dollars(before, f"{position}, list_cost_usd")
                if before
                else None,
                tier=tier,
                workspace=workspace,
            )


def _no_kind(kind: str, position: str) -> Unreadable:
    return Unreadable(f"{position}, kind", f"{kind!r:.40} is none of {', '.join(TOKEN_KINDS)}")
