"""What a reconstruction is worth: errors, similarity, spectra.

Every function takes `(pred, target, *, ...)` of equal shapes [b H W c] and
returns one number per image and channel, [b c]; the caller averages. Values
are in physical units (de-normalised). All sums are NumPy float64: evaluation is
outside the training step, and a variance of 1e-7 beside a mean of 280 K does
not survive float32.
"""
