"""The cache folder as a whole: moved between machines as one file, and kept small."""
