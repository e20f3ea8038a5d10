"""The merge of the old audit table, as an operator runs, watches, proves and mends it.

The merge itself is `migrations.merge`; nothing of it is written a second time here.
"""
