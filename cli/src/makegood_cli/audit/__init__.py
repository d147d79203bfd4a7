"""`makegood audit`: the invariants across the four databases and the topics, checked from outside the services."""
