"""Shipped weights with their model cards."""
