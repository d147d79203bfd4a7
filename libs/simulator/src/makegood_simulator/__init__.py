"""Seeded schedules of faults over the services' real code, in one process on a virtual clock (REL-11)."""
