"""Source to frames to clip: open, probe, decode, sample, write. Knows nothing of learning."""
