"""The Helm chart on a real Kubernetes, which the environment names (see conftest.py)."""
