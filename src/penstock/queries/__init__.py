"""How a query, or a DataFrame made without us, is read as a tree: names, and what each of its clauses does."""
