"""Models as files: what is in them, how they are read, and the included one."""
