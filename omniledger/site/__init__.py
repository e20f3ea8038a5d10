"""The site: built into one folder, and served to this machine."""

from omniledger.site.building import build
from omniledger.site.serving import SiteServer, open_server, serve

__all__ = ["SiteServer", "build", "open_server", "serve"]
