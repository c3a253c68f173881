"""Noise schedule, landscape steps, sampler, conjugate gradients, and the `Solver` that uses them."""
