"""The released HiNOTE network, see `models.spec`."""

from hinote_jax.models.spec import Spec

_HERE = "hinote_jax.models.hinote_official"
SPECS = (
  Spec(
    "hinote_official",
    f"{_HERE}.model:HinoteOfficial",
    tiny=dict(attention_width=64, attention_head=4),
    layouts={"hinote_official": f"{_HERE}.weights"},
    is_of_one_variable=True,
  ),
)
