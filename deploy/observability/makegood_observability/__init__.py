"""Grafana dashboards and Prometheus alerts, as code. `generate.py` writes the files from it."""
