"""Recipes: recipe.toml and models.toml to values."""
