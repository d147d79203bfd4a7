"""The platform on one machine: real servers out of packages, supervised without root."""
