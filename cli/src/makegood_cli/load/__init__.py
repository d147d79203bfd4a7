"""Load scenarios: `makegood load`. Bounded in time and number; what they print is what the published figures come from."""
