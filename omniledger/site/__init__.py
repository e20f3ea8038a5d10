"""The site: built into one folder, and served to this machine."""

from omniledger.site.building import build, require_writable
from omniledger.site.serving import SiteServer, open_server, serve

__all__ = ["SiteServer", "build", "open_server", "require_writable", "serve"]
