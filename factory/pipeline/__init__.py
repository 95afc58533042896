"""The order of the stages, and the jobs that go through them."""
