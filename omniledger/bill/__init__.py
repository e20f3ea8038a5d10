"""The provider's bill: read its files or ask its API, and keep what it says in the ledger."""
