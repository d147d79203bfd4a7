"""`makegood demo`: a story walked through the gateway, with the events shown as they pass on the topics."""
