"""What a process finds around it: files, locks, memory, signals, and how errors are told."""
