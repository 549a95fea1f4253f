"""One axis of a degradation, which its tests ask for alone."""


def operator(degradation, n, *, scale, count, start=0.0, is_periodic):
  """Returns the indices [m] that an axis reads, and its matrix [count m]."""
  operator, _ = degradation.operators(
    (n, n),
    start=(start, start),
    scale=(scale, scale),
    count=(count, count),
    periodic=(is_periodic, is_periodic),
  )
  return operator
