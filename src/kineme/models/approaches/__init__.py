"""The ways to classify a clip, one file each."""
