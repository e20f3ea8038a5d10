"""The daily flow and the watch by themselves: a Prefect server, a runner, and their keeper."""
