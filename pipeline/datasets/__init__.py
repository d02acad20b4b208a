"""Data sets: one module a source, and how they lie on disk."""
