"""Real requests, in the two tables of a gateway that drifted apart."""
