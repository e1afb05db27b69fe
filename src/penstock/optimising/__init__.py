"""What Spark makes of a tree before it runs: a few rules of its optimiser in each file, and its exchanges."""
