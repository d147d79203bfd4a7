"""The scenarios of `makegood load`. The published figures come from their output."""
