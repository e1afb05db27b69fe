"""Tables as trees of operators, as Spark's plans are: what each column is, and what follows from the tree alone."""
