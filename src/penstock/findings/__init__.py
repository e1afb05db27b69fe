"""The common mistakes in a plan: the rules, a file for each kind of work, and the texts that explain them."""
