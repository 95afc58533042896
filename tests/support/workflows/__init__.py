"""Workflows of GitHub Actions, run on this machine."""
