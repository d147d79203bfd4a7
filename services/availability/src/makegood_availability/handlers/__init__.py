"""What availability does with events, deadlines and commands. `routing.py` is the table of contents."""
