"""Lint: mistakes of recipes and patches that no build would show."""
