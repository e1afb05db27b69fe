"""How a query is read: what its names mean, and what each of its clauses does to the tree."""
