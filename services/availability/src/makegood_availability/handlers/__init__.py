"""What availability does with events and deadlines, a batch at a time."""
