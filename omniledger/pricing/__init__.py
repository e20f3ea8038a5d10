"""What a model costs, from when on: the price list, the operator's own prices, models' names.

All of it lives in `ledger.model_prices`, `ledger.model_names` and `ledger.model_history`; the
arithmetic is `ledger.price_usage` alone.
"""
