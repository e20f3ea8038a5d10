"""The merge of the legacy audit table into the ledger, one module for each step of the way."""
