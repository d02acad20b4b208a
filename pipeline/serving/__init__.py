"""The page and the interface for programs: which requests get in, where files are kept, and the process of its own that opens them."""
