"""The rules of credits: plans, coverage, lots, holds and the ledger. No I/O, no clock."""
