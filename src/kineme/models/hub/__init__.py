"""Networks of other libraries by name (``hf:NAME``): their files, their licence, and how they see a clip."""
