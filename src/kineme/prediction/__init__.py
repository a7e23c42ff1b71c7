"""Model and source to prediction."""
