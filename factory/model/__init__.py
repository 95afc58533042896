"""Frozen values, by domain."""
