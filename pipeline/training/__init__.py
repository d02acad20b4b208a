"""How networks are trained: batches, optimiser, losses, checkpoints, several processes."""
