"""Let the ledger's functions mean the same to a session with `standard_conforming_strings = off`.

Such a writer's texts were read with other patterns: a model's name was another, and a cost kept as
text was refused or counted 0.

Locks: none that anybody could wait for; functions are replaced.
Way back: none is needed; the functions do the same for everybody else.

Revision ID: 0028
Revises: 0027
"""

from migrations.ddl import run

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

# What the merge computes for the old name, where it has to.
_DERIVE = """
do $omniledger$
begin
    if to_regproc('ledger.derive_audit_log') is not null then
        alter function ledger.derive_audit_log() set standard_conforming_strings = on;
    end if;
end
$omniledger$
"""


def upgrade() -> None:
    run(_DERIVE)


def downgrade() -> None:
    pass
