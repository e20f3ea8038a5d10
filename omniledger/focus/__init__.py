"""The cost as FinOps tools want it: FOCUS, the FinOps Open Cost and Usage Specification, 1.2."""
