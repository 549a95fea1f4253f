"""Tests of the grammar of degradations, and of several from one line."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from hinote_jax import degradations

_POSITIVE = st.floats(0.0, 1e3, exclude_min=True)


@st.composite
def _blurs(draw):
  numbers = [draw(_POSITIVE)]
  if draw(st.booleans()):
    numbers.append(draw(_POSITIVE.filter(lambda x: x != numbers[0])))
    angle = draw(st.floats(-360.0, 360.0))
    numbers += [angle] if angle else []
  return f"blur({', '.join(map(repr, numbers))})"


@st.composite
def _kspaces(draw):
  given = draw(st.sampled_from([[], ["hamming"], ["tukey"]])).copy()
  if draw(st.booleans()):
    given.append(f"partial={draw(st.floats(0.51, 0.99))!r}")
  if draw(st.booleans()):
    given.append(f"noise={draw(_POSITIVE)!r}")
  return f"kspace({', '.join(given)})" if given else "kspace"


@st.composite
def _texts(draw):
  kernel = draw(st.sampled_from(["linear", "cubic", "cubic_torch", "lanczos"]))
  stages = [
    draw(
      st.sampled_from(
        [
          "area",
          "uniform",
          "truncate",
          draw(_kspaces()),
          f"decimate({kernel})",
          f"decimate({kernel}, antialias)",
          f"decimate({kernel}, drop)",
          f"decimate({kernel}, antialias, drop)",
        ]
      )
    )
  ]
  if draw(st.booleans()):
    stages.insert(0, draw(_blurs()))
  if draw(st.booleans()):
    stages.append(f"noise({draw(_POSITIVE)!r})")
  return "|".join(stages)


@given(_texts())
def test_str_gives_the_text_back(text):
  parsed = degradations.parse(text)
  assert str(parsed) == text
  assert degradations.parse(str(parsed)) == parsed


def test_a_kernel_says_which_file_it_was(tmp_path):
  path = tmp_path / "psf.npy"
  np.save(path, np.ones((3, 5)))
  parsed = degradations.parse(f"kernel({path})|area|noise(0.5)")
  text = str(parsed)
  assert degradations.parse(text) == parsed
  assert str(degradations.parse(text)) == text
  np.save(path, np.eye(3))
  other = degradations.parse(f"kernel({path})|area|noise(0.5)")
  assert other != parsed
  with pytest.raises(ValueError, match="not the file that was named"):
    degradations.parse(text)


@pytest.mark.parametrize(
  "text, means",
  [
    ("blur(0)|area", "area"),
    ("blur(0, 0, 30)|area", "area"),
    ("blur(2, 2)|area", "blur(2.0)|area"),
    ("blur(2, 1, 0)|area", "blur(2.0, 1.0)|area"),
    ("kspace(noise=0, partial=1)", "kspace"),
    ("kspace(noise=1, tukey)", "kspace(tukey, noise=1.0)"),
  ],
)
def test_what_says_nothing_is_left_out(text, means):
  assert str(degradations.parse(text)) == means
  assert degradations.parse(means) == degradations.parse(text)


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
    ("blur(1, 2, 3, 4)|area", "blur takes one number, as in"),
    ("blur(1, 0, 30)|area", "at an angle needs two deviations above 0"),
    ("blur(1, 2, inf)|area", "angle of a blur must be finite"),
    ("noise(1, 2)|area", "noise takes one number, as in noise(0.5)"),
    ("kernel|area", "kernel takes a file and"),
    ("kernel(a.npy, 12, 3)|area", "holds no comma"),
    ("blur(1)|kernel(a.npy)|area", "kernel(a.npy).*cannot follow blur"),
    ("truncate(2)", "truncate takes no arguments"),
    ("kspace(haming)", "window of kspace 'haming'; did you mean 'hamming'"),
    ("kspace(nois=1)", "option of kspace 'nois'; did you mean 'noise'"),
    ("kspace(hamming, tukey)", "one window, not 'tukey' too"),
    ("kspace(noise=x)", "kspace noise takes a number, not 'x'"),
    ("kspace(noise=-1)", "noise of kspace must be finite and not below 0"),
    ("kspace(partial=0.5)", "more than half of the lines, .* got 0.5"),
    ("area|noise(inf)", "noise must be finite"),
    ("area||noise(1)", "cannot read the stage ''"),
    ("", "cannot read the stage ''"),
    ("area|noise(1", "cannot read the stage"),
  ],
)
def test_refuses_in_a_sentence(text, message):
  with pytest.raises(
    ValueError, match=message.replace("(", r"\(").replace(")", r"\)")
  ) as error:
    degradations.parse(text)
  assert "\n" not in str(error.value)


def test_a_sweep_crosses_its_choices_the_last_one_fastest():
  found = degradations.sweep("blur({0.1:0.3:0.1})|{area,decimate(cubic, drop)}")
  assert [text for text, _ in found] == [
    "blur(0.1)|area",
    "blur(0.1)|decimate(cubic, drop)",
    "blur(0.2)|area",
    "blur(0.2)|decimate(cubic, drop)",
    "blur(0.3)|area",
    "blur(0.3)|decimate(cubic, drop)",
  ]
  assert all(degradations.parse(text) == one for text, one in found)


@pytest.mark.parametrize(
  "text, expected",
  [
    ("area", ["area"]),
    ("{,blur(1)|}area", ["area", "blur(1.0)|area"]),
    (
      "area|noise({2:1:-0.5})",
      ["area|noise(2.0)", "area|noise(1.5)", "area|noise(1.0)"],
    ),
    ("area|noise({0,1})", ["area", "area|noise(1.0)"]),
    (
      "kspace(partial={0.6,0.8})",
      ["kspace(partial=0.6)", "kspace(partial=0.8)"],
    ),
  ],
)
def test_choices_are_pieces_of_text_or_ranges(text, expected):
  assert [name for name, _ in degradations.sweep(text)] == expected


@given(st.lists(_texts(), min_size=1, max_size=4, unique=True))
def test_a_sweep_over_whole_lines_gives_each_back(texts):
  line = "{" + ",".join(texts) + "}"
  assert [name for name, _ in degradations.sweep(line)] == texts


@pytest.mark.parametrize(
  "text, message",
  [
    ("blur({1,2)|area", "each { needs a }"),
    ("blur({1,{2,3}})|area", "none may stand in another"),
    ("blur({1:2})|area", "cannot read the range {1:2}"),
    ("blur({1:2:0})|area", "cannot read the range"),
    ("blur({2:1:1})|area", "cannot read the range"),
    ("blur({a:b:c})|area", "write first:last:step"),
    ("blur({1,1.0})|area", "2 degradations, of which only 1 differ"),
    ("{area,aria}", "unknown stage 'aria'; did you mean 'area'"),
  ],
)
def test_a_sweep_refuses_in_a_sentence(text, message):
  with pytest.raises(ValueError, match=message) as error:
    degradations.sweep(text)
  assert "\n" not in str(error.value)
