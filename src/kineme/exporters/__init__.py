"""A model in other formats, each with its check of equality."""
