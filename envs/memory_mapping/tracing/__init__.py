"""From a model to an instance: PyTorch modules and scheduled XLA programs are read into `program.Program`."""
