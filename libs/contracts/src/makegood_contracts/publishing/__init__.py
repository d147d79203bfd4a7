"""The published form of the contracts: JSON Schemas, golden examples, AsyncAPI. Made from the event types, checked in."""
