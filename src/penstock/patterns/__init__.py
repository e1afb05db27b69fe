"""One file a pattern. The names are public in `penstock`; here a module would hide the function of its own name."""
