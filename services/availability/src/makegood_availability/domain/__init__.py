"""The rules of availability: pure functions of what is known and the current time."""
