"""Training: loop, step, optimiser, devices, checkpoints, workdir."""
