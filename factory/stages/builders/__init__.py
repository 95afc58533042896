"""Builders: environment, source and recipe in, wheel out."""
