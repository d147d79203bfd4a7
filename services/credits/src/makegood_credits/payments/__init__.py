"""The payment provider behind a port (CRED-6): Stripe, and one for development that needs no account."""
