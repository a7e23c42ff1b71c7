"""Sources (files, folders, links, cameras) as videos on this machine."""
