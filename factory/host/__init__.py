"""The machine that the factory runs on: prerequisites, privileges, network configuration."""
