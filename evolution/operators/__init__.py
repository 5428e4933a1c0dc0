"""Crossover, mutation and the choice of parents: pure functions of (generator, parents, rates)."""
