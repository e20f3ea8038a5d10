"""The flows that order the steps; each step's work is done by the package."""
