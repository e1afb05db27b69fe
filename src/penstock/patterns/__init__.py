"""One file a pattern. The public names are in `penstock`; this package stays empty, so that a module never hides its function."""
