"""Beyond one machine: a corpus of videos on Ray, and training on several devices."""
