"""What a published schedule means: its hours, zones and slots. Pure, so that all services read it alike (AVAIL-2)."""
