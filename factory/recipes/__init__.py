"""Recipes: recipe.toml and models.toml as values, and their reference and schema."""
