"""The page and the interface for programs: which requests get in, where files are kept, and what opens and paints."""
