"""CRED-6: the payment provider behind a port: Stripe, and one for development that needs no account."""
