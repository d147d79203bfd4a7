"""Credits: what a member's plan allows, what is left of it, and the ledger that says why."""
