"""Instructions for each token of a language model, by several programs."""
