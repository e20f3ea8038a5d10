"""Know models by more of the names that gateways give them.

OpenRouter puts a variant behind a name, Bedrock the length of its context, Claude Code `[1m]`,
Google a number; libraries put the provider and a colon before it. Their cost was unknown.

Revision 0010 makes it so from the beginning; this one brings it to databases that ran that
as it was.

Locks: none that anybody could wait for; two functions are replaced.
Way back: nothing to do.

Revision ID: 0032
Revises: 0031
"""

from migrations.ddl import run, sql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(sql("model_name_forms"))


def downgrade() -> None:
    pass
