"""Tests of factory.bench.tokens."""
