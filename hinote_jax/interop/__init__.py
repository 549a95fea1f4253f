"""Published PyTorch checkpoints in and out, without PyTorch.

imported = interop.load_checkpoint("srno.pth")
module = models.build(imported.name, **imported.kwargs)
highres = module.apply(imported.variables, lowres, coords, cell)
"""

from hinote_jax.interop.checkpoints import (
  Imported,
  from_tensors,
  load_checkpoint,
  parse_option,
  save_torch,
  to_tensors,
)

__all__ = [
  "Imported",
  "from_tensors",
  "load_checkpoint",
  "parse_option",
  "save_torch",
  "to_tensors",
]
