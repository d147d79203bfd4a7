"""The access log of a service (SEC-5): rows of who was shown, changed or was refused what of whom, chained and copied to a topic."""
