"""Tests of the grammar of degradations."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from hinote_jax import degradations

_POSITIVE = st.floats(0.0, 1e3, exclude_min=True)


@st.composite
def _texts(draw):
  kernel = draw(st.sampled_from(["linear", "cubic", "cubic_torch", "lanczos"]))
  stages = [
    draw(
      st.sampled_from(
        [
          "area",
          "uniform",
          f"decimate({kernel})",
          f"decimate({kernel}, antialias)",
        ]
      )
    )
  ]
  if draw(st.booleans()):
    stages.insert(0, f"blur({draw(_POSITIVE)!r})")
  if draw(st.booleans()):
    stages.append(f"noise({draw(_POSITIVE)!r})")
  return "|".join(stages)


@given(_texts())
def test_str_gives_the_text_back(text):
  parsed = degradations.parse(text)
  assert str(parsed) == text
  assert degradations.parse(str(parsed)) == parsed


def test_spaces_do_not_matter():
  spaced = degradations.parse(
    " blur( 1.2 ) | decimate(cubic,antialias)|noise(1)"
  )
  assert spaced == degradations.parse(
    "blur(1.2)|decimate(cubic, antialias)|noise(1)"
  )


@pytest.mark.parametrize(
  "text, message",
  [
    ("decimat(cubic)", "unknown stage 'decimat'; did you mean 'decimate'"),
    ("decimate(bicubic)", "unknown kernel 'bicubic'; did you mean 'cubic'"),
    ("decimate(cubic, alias)", "can only be antialias, not 'alias'"),
    ("decimate", "takes a kernel"),
    ("decimate()", "takes a kernel"),
    ("area(2)", "area takes no arguments"),
    ("area()", "area takes no arguments"),
    ("blur(1)", "no reducing stage"),
    ("noise(1)|area", "area cannot follow noise"),
    ("area|blur(1)", "blur cannot follow area"),
    ("area|uniform", "uniform cannot follow area"),
    ("blur(1)|blur(1)|area", "blur cannot follow blur"),
    ("blur|area", "blur takes one number"),
    ("blur(wide)|area", "blur takes a number, not 'wide'"),
    ("blur(-1)|area", "blur must be finite and not below 0"),
    ("area|noise(inf)", "noise must be finite"),
    ("area||noise(1)", "cannot read the stage ''"),
    ("", "cannot read the stage ''"),
    ("area|noise(1", "cannot read the stage"),
  ],
)
def test_refuses_in_a_sentence(text, message):
  with pytest.raises(ValueError, match=message.replace("(", r"\(")) as error:
    degradations.parse(text)
  assert "\n" not in str(error.value)
