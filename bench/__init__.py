"""One pattern beside its peers, in one run: `make bench PATTERN=top_n ROWS=20000000 ROUNDS=3`."""
