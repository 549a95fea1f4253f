"""Diffusion in a latent space: SinSR and ResShift."""
