"""A disk that is full stops an upgrade with one sentence; with room it goes on."""

from pathlib import Path

from omniledger import revisions
from tests.conftest import Server, ask
from tests.faults.harness import Upgrade

# What PostgreSQL raises when a file can't grow, at a row in the middle of the copy. A full disk of
# its own would take a loopback file system, which few machines let a test mount.
FULL = """
    create function public.full_disk() returns trigger language plpgsql as $$
    begin
        raise exception 'could not extend file "base/1/2": No space left on device'
            using errcode = 'disk_full', hint = 'Check free disk space.';
    end
    $$;
    create trigger full_disk after insert on omni2.audit_logs
    for each row when (new.legacy_id = 105) execute function public.full_disk()
"""


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    dsn = server.state("investigation:0006")
    ask(dsn, FULL)
    upgrade = Upgrade.start(dsn, tmp_path / "log")
    assert upgrade.end() == 3
    said = upgrade.sentence()
    assert said.startswith("The disk of ") and "is full: could not extend file" in said
    assert said.endswith("make room and run the command again, it goes on where it was.")
    ask(dsn, "drop function public.full_disk cascade")
    revisions.upgrade(dsn)
    assert ask(dsn, "select holds, rows_total from ledger.merge_runs") == [(True, 11)]
