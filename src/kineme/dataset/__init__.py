"""Folder to table of clips: scan, groups, splits by group, public sets, the audit."""
