"""What is in the database against what should be; it reads, and never writes."""

from omniledger.inspection.command import inspect_database

__all__ = ["inspect_database"]
