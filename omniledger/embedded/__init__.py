"""The PostgreSQL that comes along: a small server in a folder, started and stopped by its users."""

from omniledger.embedded.server import EmbeddedServer, Endpoint, Status

__all__ = ["EmbeddedServer", "Endpoint", "Status"]
