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
          f"decimate({kernel}, drop)",
          f"decimate({kernel}, antialias, drop)",
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
  "name, means",
  [
    ("imresize", "decimate(cubic, antialias)"),
    ("pillow", "decimate(cubic, antialias, drop)"),
  ],
)
def test_names_of_programs_say_what_they_do(name, means):
  assert str(degradations.parse(f"{name}|noise(0.1)")) == f"{means}|noise(0.1)"


@pytest.mark.parametrize(
  "text, message",
  [
    ("decimat(cubic)", "unknown stage 'decimat'; did you mean 'decimate'"),
    ("decimate(bicubic)", "unknown kernel 'bicubic'; did you mean 'cubic'"),
    ("decimate(cubic, alias)", "antialias, drop or both.*, not 'alias'"),
    ("decimate(cubic, drop, antialias)", "not 'drop', 'antialias'"),
    ("pillow(cubic)", "pillow takes no arguments"),
    ("imresize|pillow", "pillow cannot follow imresize"),
    ("imrezise", "unknown stage 'imrezise'; did you mean 'imresize'"),
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
