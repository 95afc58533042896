"""Shared libraries: which ones a wheel takes along, how they find each other, and what stands in for those left out."""
