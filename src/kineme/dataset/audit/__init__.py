"""The audit before training: what is broken, what is there twice, what leaks from one group to another."""
