"""What the user names (files, folders, links, cameras) to videos on this machine."""
