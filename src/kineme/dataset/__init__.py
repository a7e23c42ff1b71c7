"""Folder to table of clips: scan, groups, honest splits, public sets, the audit."""
