"""Renders the gateway's Envoy configuration and the pages it serves, for every form of deployment."""

from makegood_gateway.config import Endpoint, GatewaySettings, WebServer, render

__all__ = ["Endpoint", "GatewaySettings", "WebServer", "render"]
