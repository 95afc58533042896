"""The Docker environment and container images."""
