"""Folder to table of clips: scan, groups, honest splits, the synthetic set."""
