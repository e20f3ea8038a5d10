"""One trustworthy ledger of what an LLM gateway did, cost and suffered."""

__version__ = "0.1.0"
