"""`omniledger site`: the pages."""

from __future__ import annotations

import click


@click.group()
def site() -> None:
    """The pages: report, model docs, Data Docs.

    \b
    Example:
      omniledger site serve
    """


@site.command("build")
def site_build() -> None:
    """Build the report anew from the published figures.

    \b
    Example:
      omniledger site build
    """
    from omniledger import modelling
    from omniledger.database import session
    from omniledger.settings import get_settings
    from omniledger.site import build

    settings = get_settings()
    with session() as connection:
        page = build(
            connection,
            settings.site_dir,
            dbt_docs=modelling.docs_page(settings),
            show_emails=settings.show_emails,
        )
    click.echo(page)


@site.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def site_serve(port: int) -> None:
    """Serve the pages on this machine until Ctrl-C.

    \b
    Example:
      omniledger site serve --port 8080
    """
    from omniledger.settings import get_settings
    from omniledger.site import serve

    serve(get_settings().site_dir, port=port)
