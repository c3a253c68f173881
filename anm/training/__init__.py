"""Training: one step, the loop around it, losses, metrics, checkpoints and the CUDA graph."""
