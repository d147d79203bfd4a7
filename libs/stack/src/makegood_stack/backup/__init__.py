"""Backups of the four databases with the topics' offsets, and what brings both in line after a restore (decision 45)."""
