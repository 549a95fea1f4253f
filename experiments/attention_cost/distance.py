"""How far what stands for softmax attention is from it."""

from collections.abc import Iterator

import jax
import numpy as np

from experiments.attention_cost import case, favor, kinds, probsparse, softmax

# Standard deviation of the logits q . k / sqrt(d).
SPREADS = (0.5, 1.0, 2.0, 4.0)
FEATURES = (kinds.FEATURES, 4 * kinds.FEATURES)


def _ways(key, n: int, depth: int):
  """Returns approximations of softmax by name, of q, k and v."""

  def of_features(features):
    def attend(q, k, v):
      projection = favor.draw_projection(key, features, depth)
      return favor.attend(q, k, v, projection)

    return attend

  def of_sample(queries):
    def attend(q, k, v):
      size = probsparse.count(n)
      sample = probsparse.draw_sample(key, n, size, queries)
      return probsparse.attend(q, k, v, sample, size)

    return attend

  return {
    "mean of the values": lambda q, k, v: v.mean(1, keepdims=True),
    **{f"FAVOR+, {m} features": of_features(m) for m in FEATURES},
    "ProbSparse": of_sample(n),
    "ProbSparse, one sample": of_sample(None),
  }


def measure(side: int, seeds: int) -> Iterator[dict]:
  """Yields the relative L2 distance of each way, spread and seed.

  Queries, keys and values are normal and know nothing of each other.

  Args:
    side: of the field.
    seeds: how many.
  """
  depth = case.WIDTH // case.HEADS
  exact = jax.jit(softmax.attend)
  for seed in range(seeds):
    q, k, v = case.inputs(side, 3, seed)
    key = jax.random.key(seed)
    ways = _ways(key, side**2, depth)
    compiled = {name: jax.jit(way) for name, way in ways.items()}
    for spread in SPREADS:
      # Logits are of the product of two lengths: each takes half.
      scaled = [t * spread**0.5 for t in (q, k)]
      want = np.asarray(exact(*scaled, v), np.float64)
      for name, way in compiled.items():
        difference = np.asarray(way(*scaled, v), np.float64) - want
        yield {
          "way": name,
          "spread": spread,
          "seed": seed,
          "distance": float(np.linalg.norm(difference) / np.linalg.norm(want)),
        }
