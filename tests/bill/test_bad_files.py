"""What a person sees of a file that can't be taken: file, position, reason, and nothing went in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from omniledger.bill import loading, reading
from omniledger.database import Dsn, connect
from omniledger.errors import InputError
from tests.bill.conftest import (
    DAY,
    Import,
    Save,
    cost_bucket,
    page,
    usage_bucket,
)
from tests.conftest import Server, ask
from tests.migrations.operator import omniledger

_EVERYTHING = """
select
    (select count(*) from ledger.provider_usage), (select count(*) from ledger.provider_costs),
    (select count(*) from ledger.provider_buckets), (select count(*) from ledger.bill_imports)
"""

_HEADER = "date,model,kind,tokens,cost_usd\n"
_RESULT: dict[str, Any] = {"model": "m", "uncached_input_tokens": 1, "output_tokens": 1}


def _usage(**result: object) -> dict[str, Any]:
    return page({**DAY, "results": [{**_RESULT, **result}]})


BAD: dict[str, tuple[str, object, str]] = {
    "empty": ("x.json", "", "x.json is empty, so there is nothing to import."),
    "cut off": (
        "x.json",
        json.dumps(page(usage_bucket()))[:90],
        "x.json, line 1, column 88: this is no JSON",
    ),
    "other JSON": ("x.json", {"data": [{"a": 1}]}, "x.json, data[0]: this is no bill known here"),
    "no page": ("x.json", {"a": 1}, "x.json: there is no `data`, so it is no page of a report"),
    "deep": ("x.json", "[" * 100_000, "this is no JSON that a bill could be"),
    "NaN": ("x.json", '{"data": [NaN]}', "this is no JSON that a bill could be"),
    "no rows": (
        "x.json",
        page({**DAY, "results": []}),
        "x.json holds no usage and no cost, so there is nothing to import.",
    ),
    "euros": (
        "x.json",
        page(cost_bucket(currency="EUR")),
        "x.json, data[0].results[0].currency: the currency is 'EUR'; only bills in USD can be "
        "imported; nothing of it was imported.",
    ),
    "no currency": (
        "x.json",
        page(cost_bucket(currency=None)),
        "data[0].results[0].currency: the currency is nothing",
    ),
    "no amount": ("x.json", page(cost_bucket("")), "data[0].results[0].amount: nothing is no"),
    "a word as amount": ("x.json", page(cost_bucket("12,5")), "amount: '12,5' is no number"),
    "infinite": ("x.json", page(cost_bucket("Infinity")), "amount: 'Infinity' is no number"),
    "huge amount": ("x.json", page(cost_bucket("1e30")), "amount: '1e30' is no possible amount"),
    "absurd amount": (
        "x.json",
        page(cost_bucket("1e999999")),
        "amount: '1e999999' is no possible number",
    ),
    "not grouped cost": (
        "x.json",
        page(cost_bucket(cost_type=None)),
        "data[0].results[0]: doesn't say what it is for; fetch it with group_by[]=description",
    ),
    "unknown kind": (
        "x.json",
        page(cost_bucket(token_type="thoughts")),  # noqa: S106 (a kind of tokens)
        "data[0].results[0].token_type: 'thoughts' is no kind of tokens known here",
    ),
    "not grouped usage": (
        "x.json",
        _usage(model=None),
        "data[0].results[0]: names no model; fetch the report with group_by[]=model",
    ),
    "negative tokens": (
        "x.json",
        _usage(output_tokens=-1),
        "data[0].results[0].output_tokens: -1 is no possible count",
    ),
    "half a token": ("x.json", _usage(output_tokens=0.5), "is no whole number"),
    "true tokens": ("x.json", _usage(output_tokens=True), "output_tokens: True is no number"),
    "a NUL": ("x.json", _usage(model="a\0b"), "model: holds a character that no text has"),
    "half a letter": ("x.json", _usage(model="\ud800"), "holds a character that no text has"),
    "no time zone": (
        "x.json",
        page(usage_bucket(starting_at="2026-03-01T00:00:00")),
        "data[0].starting_at: '2026-03-01T00:00:00' is no moment like 2026-03-01T00:00:00Z",
    ),
    "a month": (
        "x.json",
        page(usage_bucket(ending_at="2026-04-01T00:00:00Z")),
        "data[0]: is longer than a day; fetch it in buckets of a day (1d)",
    ),
    "backwards": (
        "x.json",
        page(usage_bucket(ending_at="2026-02-01T00:00:00Z")),
        "data[0]: ends before it begins",
    ),
    "a page is missing": (
        "x.json",
        page(usage_bucket(), has_more=True),
        "x.json says that another page follows (has_more), and it isn't the next file",
    ),
    "a page is missing in the middle": (
        "x.json",
        [
            page(usage_bucket(), has_more=True),
            page(
                usage_bucket(starting_at="2026-03-04T00:00:00Z", ending_at="2026-03-05T00:00:00Z")
            ),
        ],
        "[1].data[0]: begins at 2026-03-04T00:00Z, and the page before it ends at"
        " 2026-03-02T00:00Z; give all pages of the report, in order",
    ),
    "a page too many": (
        "x.json",
        [page(usage_bucket()), page(usage_bucket())],
        "[0].has_more: says that this page is the last, but another one follows",
    ),
    "a page twice": (
        "x.json",
        [page(usage_bucket(), has_more=True), page(usage_bucket())],
        "[1].data[0].results[0] counts again what [0].data[0].results[0] counts",
    ),
    "overlapping": (
        "x.json",
        page(usage_bucket(1), usage_bucket(2, ending_at="2026-03-01T01:00:00Z")),
        "its time overlaps with another bucket of the same file",
    ),
    "two reports": (
        "x.json",
        [page(usage_bucket(), has_more=True), page(cost_bucket())],
        "these are pages of different reports (cost_report, usage_report)",
    ),
    "another CSV": ("x.csv", "a,b\n1,2\n", "x.csv, line 1: this is no bill known here"),
    "a CSV without a column": (
        "x.csv",
        "date,model,tokens\n2026-03-01,m,5\n",
        "; to be the CSV of docs/bill.md it lacks kind; nothing of it was imported",
    ),
    "a CSV without figures": ("x.csv", "date,model,kind\n", "it lacks tokens or cost_usd"),
    "an export without a column": (
        "x.csv",
        "usage_date_utc,model,token_type\n",
        "; to be the console's export of cost it lacks cost_usd",
    ),
    "UTF-16": ("x.csv", _HEADER.encode("utf-16"), "x.csv is no text in UTF-8"),
    "binary": ("x.csv", bytes(range(128, 256)), "x.csv is no text in UTF-8"),
    "a CSV cut off": (
        "x.csv",
        f"{_HEADER}2026-03-01,m,input,5,1\n2026-03-01,m,out",
        "x.csv, line 3: has 3 columns where the header has 5; the file may be cut off",
    ),
    "an open quote": ("x.csv", f'{_HEADER}2026-03-01,"m,input,5,1\n', "x.csv, line 2: is no CSV"),
    "a huge cell": ("x.csv", f"{_HEADER}{'x' * 200_000},m,input,5,1\n", "line 2: is no CSV"),
    "no such day": (
        "x.csv",
        f"{_HEADER}2026-02-30,m,input,5,1\n",
        "x.csv, line 2, date: '2026-02-30' is no day like 2026-03-01",
    ),
    "a plain kind": (
        "x.csv",
        f"{_HEADER}2026-03-01,m,thoughts,5,1\n",
        "x.csv, line 2, kind: 'thoughts' is none of input, output, cached",
    ),
    "a plain charge for tokens of no kind": (
        "x.csv",
        "date,model,kind,cost_usd\n2026-03-01,m,tokens,1\n",
        "x.csv, line 2, kind: 'tokens' is none of input, output, cached",
    ),
    "a plain kind in capitals": (
        "x.csv",
        "date,model,kind,cost_usd\n2026-03-01,m,Input,1\n",
        "x.csv, line 2, kind: 'Input' is none of input, output, cached",
    ),
    "plain euros": (
        "x.csv",
        "date,model,kind,cost_usd,currency\n2026-03-01,m,input,1,EUR\n",
        "x.csv, line 2, currency: the currency is 'EUR'",
    ),
    "a row twice": (
        "x.csv",
        f"{_HEADER}2026-03-01,m,input,5,1\n2026-03-01,m,input,5,1\n",
        "x.csv: line 3 counts again what line 2 counts",
    ),
    "a credit beside its charge": (
        "x.csv",
        "date,model,kind,cost_usd\n2026-03-01,m,input,10\n2026-03-01,m,input,-2.5\n",
        "line 2 counts; if both are meant, as a charge and its credit, add them up; else the file",
    ),
    "an export twice": (
        "x.csv",
        "usage_date_utc,model,token_type,cost_usd\n" + 2 * "2026-03-01,m,output,1\n"
        "2026-03-02,m,output,1\n",
        "x.csv: every row of it is there more than once; if all are meant, add up those that are",
    ),
    "two headers": (
        "x.csv",
        "date,date,model,kind,tokens\n2026-03-01,,m,input,5\n",
        "x.csv, line 1: two columns have the same name",
    ),
    "console kind": (
        "x.csv",
        "usage_date_utc,model,token_type,cost_usd\n2026-03-01,m,thoughts,1\n",
        "x.csv, line 2, token_type: 'thoughts' is no kind of tokens known here",
    ),
    "only a header": ("x.csv", _HEADER, "x.csv holds no rows, so there is nothing to import."),
}


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Dsn:
    """One database for all: what is refused leaves nothing in it."""
    return request.getfixturevalue("server").state("empty:upgraded")  # type: ignore[no-any-return]


@pytest.fixture
def dsn(shared: Dsn) -> Dsn:
    return shared


@pytest.mark.parametrize(("name", "content", "sentence"), BAD.values(), ids=list(BAD))
def test_the_sentence_names_the_file_and_the_place(
    take: Import, save: Save, dsn: Dsn, name: str, content: object, sentence: str
) -> None:
    path = save(name, content)
    with pytest.raises(InputError) as refused:
        take(path)
    said = str(refused.value).replace(str(path), name)
    assert sentence in said
    assert said.endswith(".")
    assert "\n" not in said
    assert ask(dsn, _EVERYTHING) == [(0, 0, 0, 0)]


def test_an_empty_list_is_no_last_page(take: Import, save: Save) -> None:
    files = [save("1.json", page(usage_bucket(), has_more=True)), save("2.json", [])]
    with pytest.raises(InputError, match=r"1\.json says that another page follows"):
        take(*files)


def test_a_file_that_is_not_there(take: Import, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: No such file or directory"):
        take(tmp_path / "x.json")


def test_a_folder(take: Import, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        take(tmp_path)


def test_a_pipe_is_not_waited_for(take: Import, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"x\.csv is no file but a pipe or a device; save what"):
        take(tmp_path / "x.csv")


def test_a_huge_file_of_json(take: Import, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_JSON", 2**20)
    path = save("x.json", json.dumps(page(usage_bucket())) + " " * 2**21)
    with pytest.raises(InputError, match="is 2 MiB of JSON, more than the 1 MiB that are read"):
        take(path)


def test_of_a_file_with_one_bad_row_nothing_goes_in_and_of_the_one_before_all(
    save: Save, server: Server
) -> None:
    rows = "".join(f"2026-03-01,m{n},input,5,1\n" for n in range(1000))
    good = save("good.csv", f"{_HEADER}2026-02-01,m,input,5,1\n")
    bad = save("bad.csv", f"{_HEADER}{rows}2026-03-01,m,input,-5,1\n")
    dsn = server.state("empty:upgraded")
    with connect(dsn, autocommit=True) as connection:
        files = reading.documents([good, bad])
        loading.take_in(connection, next(files))
        with pytest.raises(InputError, match="line 1002, tokens: '-5' is no possible count"):
            loading.take_in(connection, next(files))
    assert ask(dsn, _EVERYTHING) == [(1, 1, 2, 1)]


def test_what_went_in_before_a_refused_file_is_told_to_programs(dsn: Dsn, save: Save) -> None:
    good, bad = save("good.json", page(usage_bucket())), save("bad.json", "")
    said = omniledger(dsn, "bill", "import", "--json", str(good), str(bad))
    assert said.code == 7
    assert said.refusal.endswith("bad.json is empty, so there is nothing to import.")
    [taken] = json.loads(said.output)
    assert taken["source"] == str(good)
    assert (taken["tokens"], taken["buckets_changed"]) == ("1010", 1)
    assert ask(dsn, "select sum(quantity)::text from ledger.provider_usage") == [("1010",)]
