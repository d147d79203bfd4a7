"""Development tools in place of external systems: mail server and inbox, identity keys, WhatsApp, client app."""
