"""Labelled segments in the forms that people and other tools write: one file for each form, and one list of them."""
