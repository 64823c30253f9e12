"""Scopes: the questions that are asked of a partition, and whether its data can answer them."""
