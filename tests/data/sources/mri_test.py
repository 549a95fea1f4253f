"""Tests of scans: planes, subjects, fastMRI's files, the three heads."""

import importlib.util

import h5py
import numpy as np
import pytest

from hinote_jax.data.sources import fastmri, mri
from tests.data import layouts, leaks

nibabel = pytest.importorskip("nibabel")


def _head(path, owner=0, *, shape=(6, 8, 10), codes="RAS", sizes=(1, 1, 1)):
  """Writes a volume whose voxels say where in space they are.

  The one at R, A, S = (r, a, s) from the corner holds 1000 owner + 100 r +
  10 a + s, however its axes are stored.
  """
  r, a, s = np.indices(shape)
  values = 1000.0 * owner + 100.0 * r + 10.0 * a + s
  image = nibabel.Nifti1Image(
    values.astype(np.int16), np.diag([*map(float, sizes), 1.0])
  )
  orientations = nibabel.orientations
  to = orientations.axcodes2ornt(codes)
  turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), to)
  path.parent.mkdir(parents=True, exist_ok=True)
  nibabel.save(image.as_reoriented(turn), path)
  return path


def _owner(values) -> int:
  return int(values.max()) // 1000


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "PIR", "SLP"])
@pytest.mark.parametrize(
  "plane, of",
  [
    ("axial", lambda y, x, i: 100 * x + 10 * y + i),
    ("coronal", lambda y, x, i: 100 * x + 10 * i + y),
    ("sagittal", lambda y, x, i: 100 * i + 10 * x + y),
  ],
)
def test_slices_are_upright_however_they_are_stored(tmp_path, codes, plane, of):
  path = _head(tmp_path / "a.nii.gz", codes=codes)
  source = mri.mri(path=path, plane=plane, slices=(0.0, 1.0))
  height, width = source.field_shape[:2]
  slices = len(source.times)
  order = range(slices)
  # Slices may be counted from either end.
  if int(source.read(0).max()) > int(source.read(slices - 1).max()):
    order = range(slices - 1, -1, -1)
  y, x = np.indices((height, width))
  for i, k in enumerate(order):
    np.testing.assert_array_equal(source.read(k)[..., 0], of(y, x, i))


def test_grid_is_in_millimetres_from_the_middle(tmp_path):
  path = _head(tmp_path / "a.nii", codes="PIR", sizes=(1.5, 1.0, 3.0))
  source = mri.mri(path=path, plane="axial")
  assert (source.y.units, source.x.units) == ("mm", "mm")
  np.testing.assert_allclose(np.diff(source.x.values), 1.5)
  np.testing.assert_allclose(np.diff(source.y.values), 1.0)
  np.testing.assert_allclose(source.x.values.sum(), 0.0, atol=1e-9)
  # By default the plane of the smallest voxels.
  assert mri.mri(path=path).field_shape == (8, 6, 1)
  other = _head(tmp_path / "b.nii", sizes=(1.0, 1.0, 3.0))
  both = mri.mri(path=[path, other], plane="axial")
  assert both.y.units == "cell"


def test_each_view_of_a_volume_has_its_own_place_in_the_cache(tmp_path):
  path = _head(tmp_path / "a.nii", shape=(8, 8, 8))
  options = [dict(plane=plane) for plane in mri.PLANES]
  options += [{}, dict(scaling="maximum"), dict(every=2), dict(shape=(4, 4))]
  digests = {mri.mri(path=path, **o).fingerprint for o in options}
  assert len(digests) == len(options)


def _study(root):
  """Three subjects of BIDS, one of whom was scanned twice."""
  for owner, name in ((1, "01"), (2, "02"), (3, "03")):
    folder = root / f"sub-{name}" / "anat"
    _head(folder / f"sub-{name}_T1w.nii.gz", owner)
  _head(root / "sub-02" / "ses-2" / "sub-02_T2w.nii.gz", 2)
  return root


def test_split_is_by_subject_over_all_of_its_files(tmp_path):
  source = mri.mri(path=_study(tmp_path), plane="axial", every=2)
  assert source.domain == "mri" and source.citation == ""
  owners = leaks.check(
    source, tmp_path / "split.json", _owner, validation="02", test="03"
  )
  assert owners == {"train": {1}, "validation": {2}, "test": {3}}
  assert source.groups.count("02") == 2 * source.groups.count("01")


def test_subjects_by_file_or_by_an_expression(tmp_path):
  for owner, name in ((1, "ann_1"), (1, "ann_2"), (2, "bob_1"), (3, "eve_1")):
    _head(tmp_path / f"{name}.nii.gz", owner)
  assert set(mri.mri(path=tmp_path).groups) == {
    "ann_1",
    "ann_2",
    "bob_1",
    "eve_1",
  }
  source = mri.mri(path=tmp_path, subject=r"/([a-z]+)_\d\.nii")
  owners = leaks.check(
    source, tmp_path / "split.json", _owner, validation=1, test=1, seed=0
  )
  assert sorted(map(len, owners.values())) == [1, 1, 1]
  _head(tmp_path / "sub-7.nii.gz", 7)
  with pytest.raises(ValueError, match="ann_1.nii.gz does not say its subject"):
    mri.mri(path=tmp_path)


def test_slices_are_chosen_scaled_and_fitted(tmp_path):
  small = _head(tmp_path / "a.nii", 1, shape=(6, 8, 10))
  large = _head(tmp_path / "b.nii", 2, shape=(8, 7, 10))
  with pytest.raises(ValueError, match=r"b.nii has slices of \(7, 8\) and .*a"):
    mri.mri(path=[small, large], plane="axial")
  options = dict(path=[small, large], plane="axial", shape=(8, 8))
  source = mri.mri(**options, slices=(0.5, 1.0), every=2)
  assert source.times[:3] == ("a slice 5", "a slice 7", "a slice 9")
  values = source.read(1)[..., 0]
  y, x = np.indices((8, 6))
  np.testing.assert_array_equal(values[:, 1:7], 1007 + 100 * x + 10 * y)
  assert not values[:, [0, 7]].any()
  wide = source.read(4)[..., 0]
  assert not wide[7].any() and wide[0, 0] == 2007.0
  whole = mri.mri(**options, slices=(0.0, 1.0), scaling="maximum")
  largest = [whole.read(i).max() for i in range(20)]
  assert max(largest[:10]) == max(largest[10:]) == 1.0
  np.testing.assert_allclose(
    whole.read(7)[..., 0] * (1000 + 500 + 70 + 9), source.read(1)[..., 0]
  )


def test_what_is_missing_is_not_the_largest(tmp_path):
  values = np.full((4, 5, 6), np.nan, np.float32)
  values[1:3, 1:3, 1:5] = 7.0
  values[1, 1, 2] = np.nan
  path = tmp_path / "scan.nii"
  nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
  source = mri.mri(path=path, slices=(0.0, 1.0), scaling="maximum")
  scaled = [source.read(i) for i in range(len(source))]
  assert np.nanmax(scaled) == 1.0


def test_the_installed_heads(tmp_path, monkeypatch):
  if importlib.util.find_spec("img2fmri") is None:
    with pytest.raises(
      ModuleNotFoundError, match="pip install --no-deps img2fmri==1.0"
    ):
      mri.mri()
    folder = tmp_path / "img2fmri" / "derivatives" / "T1"
    for k in (1, 2, 3):
      _head(folder / f"sub-CSI{k}_ses-16_anat_sub-CSI{k}_ses-16_T1w.nii.gz", k)
    (tmp_path / "img2fmri" / "__init__.py").write_text("raise OSError")
    monkeypatch.syspath_prepend(tmp_path)
  source = mri.mri(plane="axial", every=5)
  assert list(dict.fromkeys(source.groups)) == ["CSI1", "CSI2", "CSI3"]
  assert "BOLD5000" in source.citation and "CC0" in source.citation
  values = source.read(len(source.times) // 2)
  assert np.isfinite(values).all() and values.max() > values.min()


def test_what_is_no_volume_is_refused(tmp_path):
  flat = _head(tmp_path / "flat.nii", shape=(6, 8, 1))
  with pytest.raises(ValueError, match="flat.nii has 1 slice and a volume is"):
    mri.mri(path=flat)
  path = _head(tmp_path / "a.nii")
  with pytest.raises(ValueError, match="'axail'; did you mean 'axial'"):
    mri.mri(path=path, plane="axail")
  with pytest.raises(ValueError, match="has no 'kspace'; known: intensity"):
    mri.mri(("kspace",), path=path)
  with pytest.raises(ValueError, match="slices 0.9 to 0.1, each 1th, of 10"):
    mri.mri(path=path, slices=(0.9, 0.1))
  whole = path.read_bytes()
  cut = tmp_path / "cut.nii"
  cut.write_bytes(whole[:-5])
  with pytest.raises(ValueError, match="cannot read .*cut.nii .*cut short"):
    mri.mri(path=cut)
  with pytest.raises(ValueError, match="of NIfTI and HDF5: give files of one"):
    layouts.fastmri(tmp_path / "b.h5", np.ones((3, 4, 4)))
    mri.mri(path=[path, tmp_path / "b.h5"])


def _images(owner, count=4, shape=(8, 6)):
  rng = np.random.default_rng(owner)
  return 1000.0 * owner + rng.uniform(0.0, 900.0, (count, *shape))


def _scans(root):
  """Five scans of four patients."""
  root.mkdir(exist_ok=True)
  for k, owner in enumerate((1, 2, 3, 3, 4)):
    path = root / f"file100000{k}.h5"
    layouts.fastmri(path, _images(owner), patient=f"patient{owner}")
  return root


def test_fastmri_is_split_by_patient_not_by_file(tmp_path):
  source = mri.mri(path=_scans(tmp_path / "scans"), slices=(0.0, 1.0))
  assert source.variables[0].name == "reconstruction_rss"
  assert "fastMRI" in source.citation
  np.testing.assert_allclose(np.diff(source.y.values), 2.0)
  np.testing.assert_allclose(np.diff(source.x.values), 3.0)
  np.testing.assert_allclose(source.read(6)[..., 0], _images(2)[2], rtol=1e-6)
  owners = leaks.check(
    source, tmp_path / "split.json", _owner, validation=1, test=1
  )
  assert owners == {"train": {1, 2}, "validation": {3}, "test": {4}}


def test_kspace_gives_the_image_of_its_coils(tmp_path):
  images = _images(0)
  coils = np.array([0.6, 0.8j, -0.3, 0.4])
  size = np.sqrt(np.sum(np.abs(coils) ** 2))
  path = layouts.fastmri(tmp_path / "a.h5", images, coils=coils)
  source = mri.mri(("kspace",), path=path, slices=(0.0, 1.0))
  assert source.field_shape == (8, 6, 1)
  for i in range(4):
    np.testing.assert_allclose(
      source.read(i)[..., 0], size * images[i], atol=0.01
    )
  bare = layouts.fastmri(tmp_path / "b.h5", images, with_images=False)
  assert mri.mri(path=bare).variables[0].name == "kspace"


def test_what_is_refused_of_fastmri(tmp_path):
  images = _images(1)
  test_data = layouts.fastmri(
    tmp_path / "a.h5", images, with_images=False, mask=True
  )
  with pytest.raises(ValueError, match="a.h5 has k-space of which a mask"):
    mri.mri(path=test_data)
  path = layouts.fastmri(tmp_path / "b.h5", images)
  with pytest.raises(
    ValueError,
    match="no 'reconstruction_esc'; did you mean 'reconstruction_rss",
  ):
    mri.mri(("reconstruction_esc",), path=path)
  with pytest.raises(ValueError, match="fastMRI's files have one plane"):
    mri.mri(path=path, plane="axial")
  one = layouts.fastmri(tmp_path / "c.h5", images[:1])
  with pytest.raises(
    ValueError, match="c.h5 has 1 slice and a volume is needed"
  ):
    mri.mri(path=one)
  cut = tmp_path / "d.h5"
  whole = path.read_bytes()
  cut.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match=r"cannot read .*d.h5 \(.*trunc"):
    mri.mri(path=cut)
  with h5py.File(tmp_path / "e.h5", "w") as file:
    file["other"] = np.ones(3)
  with pytest.raises(
    ValueError, match="is not as fastMRI has it: it holds none"
  ):
    mri.mri(path=tmp_path / "e.h5")
  with h5py.File(path, "r+") as file:
    del file["ismrmrd_header"]
    file["ismrmrd_header"] = b"<ismrmrdHeader>"
  with pytest.raises(ValueError, match="its ismrmrd_header does not say"):
    mri.mri(path=path)


def test_root_sum_of_squares_keeps_the_energy():
  # Parseval: what the coils measured is what the image holds.
  rng = np.random.default_rng(0)
  kspace = rng.normal(size=(3, 8, 6)) + 1j * rng.normal(size=(3, 8, 6))
  image = fastmri.root_sum_of_squares(kspace, (8, 6))
  np.testing.assert_allclose(
    np.sum(image.astype(np.float64) ** 2),
    np.sum(np.abs(kspace) ** 2),
    rtol=1e-6,
  )
