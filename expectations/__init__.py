"""What must be true of the figures before anybody sees them: one module for each suite.

Importing this package is cheap; the suites import Great Expectations, which takes seconds, so
`gate` loads them only when it judges.
"""
