"""Who is where in a video: people are detected in single frames and tracked over time."""
