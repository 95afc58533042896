"""Helpers that know nothing of wheels."""
