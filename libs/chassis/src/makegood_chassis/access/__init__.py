"""The access log of a service (SEC-5): who read, changed or was refused whose data. Its rows are chained and copied to
a topic.
"""
