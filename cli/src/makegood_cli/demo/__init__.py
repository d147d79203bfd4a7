"""The stories of `makegood demo`: requests through the gateway, with the events that they cause."""
