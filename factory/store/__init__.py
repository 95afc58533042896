"""The store of finished wheels, and the cache folder around it."""
