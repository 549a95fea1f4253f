"""What a reconstruction is worth: errors, similarity, spectra.

The functions of `field`, `image` and `spectra` take `(pred, target, *, ...)` of
equal shapes [b H W c] and return one number per image and channel, [b c]; the
caller averages. What a science asks for beside them is in `domains`: parts of
one field [H W c], whose means over fields make the scores. Values are in
physical units (de-normalised). All sums are NumPy float64: evaluation is
outside the training step, and a variance of 1e-7 beside a mean of 280 K does
not survive float32.
"""
