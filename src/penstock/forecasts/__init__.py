"""What the steps of a tree will read and move: samples of its files, sent through it."""
