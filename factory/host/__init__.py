"""The machine of the factory: prerequisites, privileges, network configuration."""
