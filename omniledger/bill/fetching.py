"""Ask the provider's API for a bill: usage and cost of some days, page by page.

Nothing that is said or raised here holds the key.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from omniledger.bill import cost_report, pages, usage_report
from omniledger.bill.facts import Fact
from omniledger.bill.reading import Document, naming
from omniledger.errors import InputError, SettingsError, StepFailed

if TYPE_CHECKING:
    import httpx

API = "https://api.anthropic.com"
KEY = "ANTHROPIC_ADMIN_KEY"
ADDRESS = "ANTHROPIC_BASE_URL"
VERSION = "2023-06-01"

_REPORTS: tuple[ModuleType, ...] = (usage_report, cost_report)
_DAYS_AT_ONCE = 31
_ATTEMPTS = 6
_LONGEST_WAIT = 300.0
"""Seconds that one request is waited for; who asks for more is told so."""

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Api:
    """Where the API is, the key to it, and how waiting is done (tests don't)."""

    key: str
    url: str = API
    sleep: Sleep = time.sleep
    timeout: float = 60.0

    def documents(self, first: date, last: date) -> Iterator[Document]:
        """The usage and the cost of the days from `first` to `last`, both included.

        Raises:
            SettingsError: there is no key or no address that could be one, or no such days.
            InputError: the provider refuses the key or the request.
            StepFailed: it doesn't answer, or not in a form that is known.
        """
        if not self.key:
            raise SettingsError(
                f"There is no key for the provider's API; set {KEY} to an admin key "
                "(sk-ant-admin…), or export the bill and use `omniledger bill import`."
            )
        if not (self.key.isascii() and self.key.isprintable()):
            raise SettingsError(f"{KEY} holds a character that no key has; copy it anew.")
        if not _is_address(self.url):
            raise SettingsError(f"{ADDRESS} is no address like {API}; leave it out for that one.")
        if last < first:
            raise SettingsError(f"--from {first} is after --to {last}; give the earlier day first.")
        if last == date.max:
            raise SettingsError(f"--to {last} has no day after it; give an earlier one.")
        for report in _REPORTS:
            name = f"{report.NAME} {first} to {last}"
            # All of it now: no transaction is kept open while the provider is waited for.
            facts = tuple(self._facts(report, first, last, name))
            yield Document(name, report.NAME, partial(iter, facts))

    def _facts(self, report: ModuleType, first: date, last: date, name: str) -> Iterator[Fact]:
        import httpx

        with httpx.Client(base_url=self.url, timeout=self.timeout) as client, naming(name):
            for since, until in _stretches(first, last):
                yield from report.facts(self._pages(client, report, since, until))

    def _pages(
        self, client: httpx.Client, report: ModuleType, since: datetime, until: datetime
    ) -> Iterator[pages.Page]:
        parameters: list[tuple[str, str]] = [
            ("starting_at", f"{since:%Y-%m-%dT%H:%M:%SZ}"),
            ("ending_at", f"{until:%Y-%m-%dT%H:%M:%SZ}"),
            *report.PARAMETERS,
        ]
        token: str | None = None
        seen: set[str] = set()
        while True:
            asked = [*parameters, *([("page", token)] if token else [])]
            document = self._ask(client, report.PATH, asked)
            page = pages.page(document, f"page {len(seen) + 1}.")
            yield page
            if not page.has_more:
                return
            token = document.get("next_page")
            if not isinstance(token, str) or token in seen:
                raise StepFailed(
                    "The provider says that there is more of the report, but not where; "
                    "ask again later."
                )
            seen.add(token)

    def _ask(
        self, client: httpx.Client, path: str, parameters: list[tuple[str, str]]
    ) -> dict[str, Any]:
        import httpx

        headers = {"x-api-key": self.key, "anthropic-version": VERSION}
        why = ""
        for attempt in range(_ATTEMPTS):
            wait = float(2**attempt)
            try:
                answer = client.get(
                    path, params=httpx.QueryParams(tuple(parameters)), headers=headers
                )
            except httpx.RequestError as error:
                why = f"can't be reached or read ({type(error).__name__})"
            else:
                if answer.status_code == httpx.codes.OK:
                    return _document(answer)
                if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                    why, wait = "asks for patience (429)", _retry_after(answer, wait)
                elif answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    why, wait = f"has a fault ({answer.status_code})", _retry_after(answer, wait)
                else:
                    raise InputError(_refusal(answer, self.key))
            if wait > _LONGEST_WAIT:
                break
            if attempt < _ATTEMPTS - 1:
                self.sleep(wait)
        raise StepFailed(f"The provider's API {why}; nothing was imported, ask again later.")


def _is_address(url: str) -> bool:
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _stretches(first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    """The days as stretches that one request may ask for, each until before its end (UTC)."""
    until = datetime.combine(last, datetime.min.time(), UTC) + timedelta(days=1)
    since = datetime.combine(first, datetime.min.time(), UTC)
    while since < until:
        end = min(since + timedelta(days=_DAYS_AT_ONCE), until)
        yield since, end
        since = end


def _document(answer: httpx.Response) -> dict[str, Any]:
    import json

    try:
        found = json.loads(answer.content, parse_float=Decimal)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StepFailed(
            "The provider's API answered with something that is no report; ask again later."
        )
    return found


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    """Seconds to wait as the answer says it."""
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return otherwise
    return otherwise if math.isnan(seconds) else max(seconds, 0.0)


def _refusal(answer: httpx.Response, key: str) -> str:
    if answer.status_code in (401, 403):
        return (
            f"The provider refuses the key ({answer.status_code}); set {KEY} to an admin key "
            "(sk-ant-admin…) of your organisation."
        )
    try:
        said = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        said = "it doesn't say why"
    said = " ".join(said.split())[:200].rstrip(".").replace(key, "***")
    return f"The provider refuses the request ({answer.status_code}): {said}; nothing was imported."
