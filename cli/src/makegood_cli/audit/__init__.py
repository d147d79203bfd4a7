"""`makegood audit`: checks invariants across the four databases and the topics, independently of the services."""
