"""The compiled scorer: a small network over each action slot, evaluated inside the engine's loop."""
