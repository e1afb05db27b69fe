"""What Spark's optimiser does to a tree, each room a few of its rules; names in comments are those of the rules."""
