"""Where and when a model looked."""
