"""Credits: what a member's plan allows, how much is left, and the ledger that explains it."""
