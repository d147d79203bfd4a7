"""Credits: what a member's plan allows, how much of it is left, and the ledger that explains it."""
