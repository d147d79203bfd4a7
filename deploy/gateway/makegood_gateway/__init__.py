"""Renders the gateway's Envoy configuration and the pages it serves: one source for every form of running."""

from makegood_gateway.config import Endpoint, GatewaySettings, render

__all__ = ["Endpoint", "GatewaySettings", "render"]
