"""What stands in for the outside world in development: a mail server with a page, and the identity provider's keys."""
