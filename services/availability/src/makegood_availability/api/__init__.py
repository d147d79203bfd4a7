"""HTTP: each endpoint parses the request, calls a command or a query, and answers."""
