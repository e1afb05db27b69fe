"""Plans: what a table will read and move, told before it runs."""
