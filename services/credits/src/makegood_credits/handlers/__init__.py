"""What credits does with events and deadlines."""
