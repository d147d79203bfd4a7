"""Generates the published contracts from the event types: JSON Schemas, golden examples and AsyncAPI. They are checked in."""
