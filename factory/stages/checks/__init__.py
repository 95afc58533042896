"""Check stage: install the wheel and run the recipe's script on each ISA profile."""
