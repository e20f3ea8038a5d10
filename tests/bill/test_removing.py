"""An import that was wrong can be taken back, and only as far as it is still in force."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from omniledger.bill import removing
from omniledger.bill.removing import Removed
from omniledger.cli import cli
from omniledger.database import Dsn, connect
from omniledger.errors import InputError
from tests.bill.conftest import Import, Save, cost_bucket, page, usage_bucket
from tests.conftest import ask

SECOND = {"starting_at": "2026-03-02T00:00:00Z", "ending_at": "2026-03-03T00:00:00Z"}

KNOWN = """
select fact, bucket_start::date::text, import_id
from ledger.provider_buckets
order by 1, 2
"""


def remove(dsn: Dsn, import_id: int) -> Removed:
    with connect(dsn, autocommit=True) as connection:
        return removing.remove(connection, import_id)


def test_of_a_removed_import_nothing_is_known_but_the_history(
    take: Import, save: Save, dsn: Dsn
) -> None:
    take(save("1.json", page(usage_bucket(7))), save("2.json", page(cost_bucket())))
    removed = remove(dsn, 2)
    assert removed == Removed(3, "2026-03-01", "2026-03-01", 1)
    assert ask(dsn, KNOWN) == [("usage", "2026-03-01", 1)]
    assert ask(dsn, "select count(*) from ledger.provider_costs") == [(0,)]
    assert ask(
        dsn,
        "select trim_scale(amount_usd)::text, import_id, replaced_by"
        " from ledger.provider_costs_history",
    ) == [("1.2345", 2, 3)]
    assert ask(
        dsn, "select source, form, amount_usd, buckets_changed from ledger.bill_imports offset 2"
    ) == [("import 2", "removal", 0, 1)]


def test_what_a_later_import_said_stays(take: Import, save: Save, dsn: Dsn) -> None:
    take(save("1.json", page(usage_bucket(1), usage_bucket(2, **SECOND))))
    take(save("2.json", page(usage_bucket(3))))
    assert remove(dsn, 1) == Removed(3, "2026-03-02", "2026-03-02", 1)
    assert ask(dsn, KNOWN) == [("usage", "2026-03-01", 2)]
    assert ask(
        dsn,
        "select quantity::bigint from ledger.provider_usage where token_kind = 'input'",
    ) == [(3,)]


def test_what_was_said_again_goes_with_the_one_who_said_it_last(
    take: Import, save: Save, dsn: Dsn
) -> None:
    file = save("1.json", page(usage_bucket(7)))
    take(file, file)
    with pytest.raises(InputError, match="Nothing of import 1 is in force"):
        remove(dsn, 1)
    remove(dsn, 2)
    assert ask(dsn, "select count(*) from ledger.provider_usage") == [(0,)]
    take(file)
    assert ask(dsn, KNOWN) == [("usage", "2026-03-01", 4)]


def test_only_what_is_there_can_be_removed(take: Import, save: Save, dsn: Dsn) -> None:
    take(save("1.json", page(usage_bucket(7))))
    with pytest.raises(InputError, match="There is no import 2; `omniledger bill list`"):
        remove(dsn, 2)
    remove(dsn, 1)
    for import_id, complaint in ((1, "it was removed before"), (2, "Nothing of import 2")):
        with pytest.raises(InputError, match=complaint):
            remove(dsn, import_id)


def test_the_list_says_what_of_each_import_is_in_force(
    take: Import, save: Save, dsn: Dsn, command: CliRunner
) -> None:
    both = save("1.json", page(usage_bucket(1), usage_bucket(2, **SECOND)))
    take(both, save("2.json", page(usage_bucket(3))), save("3.json", page(cost_bucket())))
    remove(dsn, 3)
    listed = command.invoke(cli, ["bill", "list"], catch_exceptions=False).stdout.splitlines()
    assert [re.findall(r"(\S+|\S+ of \S+) in force", line) for line in listed] == [
        ["1 of 2"],
        ["all"],
        ["nothing"],
        [],
    ]
    document = json.loads(command.invoke(cli, ["bill", "list", "--json"]).stdout)
    assert [one["buckets_in_force"] for one in document] == [1, 1, 0, 0]
