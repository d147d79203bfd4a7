"""All SQL of credits."""
