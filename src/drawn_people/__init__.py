"""A data set that needs no download: people drawn as articulated bodies, doing named actions in varied scenes."""
