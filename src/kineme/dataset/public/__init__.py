"""Public sets of videos by name: facts, fetching, unpacking, and tables with groups and official splits."""
