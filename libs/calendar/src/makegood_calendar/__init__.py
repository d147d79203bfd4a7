"""What a published schedule means: hours, zones, and the slots that they offer. Pure, so that every reader agrees (AVAIL-2)."""
