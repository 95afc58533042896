"""Layers made of Debian packages."""
