"""Device and precision, named random streams, signals, git, and parsing of settings."""
