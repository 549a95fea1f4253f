"""What tests of headers have in common."""

from hinote_jax import io


def raw(path):
  """Returns a file as xarray has it, nothing decoded."""
  return io.inputs.load_xarray(path, decode_cf=False)


def refined(header, scale):
  """Returns the header on a grid so many times finer."""
  y, x = (a.refined(a.scaled(scale))[0] for a in (header.y, header.x))
  return header.on(y, x)
