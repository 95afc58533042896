"""Fleet: builds of one run on the workers of a dask scheduler."""
