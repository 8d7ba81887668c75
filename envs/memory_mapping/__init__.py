"""mallocGame: tensors into fast on-chip memory."""
