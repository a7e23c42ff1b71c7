"""Table and approach to model: cache, feed, fit, evaluate."""
