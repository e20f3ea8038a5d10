"""The command groups of `omniledger`, a module each."""
