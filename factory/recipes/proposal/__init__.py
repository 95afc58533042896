"""Proposals of recipes: the shortest that can work, read from an sdist without running it."""
