"""HTTP: schedules, time off, slots and venues."""
