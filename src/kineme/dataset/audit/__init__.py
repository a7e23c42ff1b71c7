"""The audit before training: broken files, duplicates, and leaks from one group to another."""
