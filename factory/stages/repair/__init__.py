"""Repair stage: platform tag, bundled libraries."""
