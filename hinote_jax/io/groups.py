"""NetCDF files and Zarr stores as datasets of xarray, group by group.

A group is read with the coordinates of those above it. Its fields have the
path of the group before their names, as those of HDF5 have.
"""

from collections.abc import Iterable, Iterator, Sequence
import pathlib
from typing import Any

from hinote_jax.io import cf, cf_packing, inputs


def load(
  path: pathlib.Path, group: str = "", left_out: Iterable[str] = ()
) -> Any:
  """Returns a group as an xarray.Dataset of what it holds, not decoded.

  Args:
    path: of the file or store.
    group: its path.
    left_out: paths of variables that are not read.

  Raises:
    ModuleNotFoundError: xarray, or what it needs for this format, is missing.
    ValueError: the file cannot be read.
  """
  options: dict[str, Any] = {"group": group} if group else {}
  parts = [name.rpartition("/") for name in left_out]
  options["drop_variables"] = [n for above, _, n in parts if above == group]
  dataset = inputs.load_xarray(path, decode_cf=False, cache=False, **options)
  (_mark_zarr if path.is_dir() else _mark_netcdf)(path, group, dataset)
  return dataset


def _mark_zarr(path: pathlib.Path, group: str, dataset: Any) -> None:
  """Takes 0 for a value where it is only what a store begins with."""
  zarr = inputs.require("zarr", "io")
  arrays = zarr.open_group(path, path=group or None, mode="r")
  for name, raw in dataset.variables.items():
    # xarray gives the fill value of version 2 as an attribute.
    if raw.attrs.get("_FillValue") == 0 and (
      "_FillValue" not in arrays[name].attrs
    ):
      del raw.attrs["_FillValue"]


def _mark_netcdf(path: pathlib.Path, group: str, dataset: Any) -> None:
  """Marks the variables in which the library has filled what is missing."""
  library = inputs.require("netCDF4", "io")
  with library.Dataset(path) as file:
    held = (file[group] if group else file).variables
    for name, raw in dataset.variables.items():
      is_number = (
        name in held and getattr(held[name].dtype, "kind", "") in "iuf"
      )
      is_filled = is_number and held[name].get_fill_value() is not None
      raw.encoding[cf_packing.IS_FILLED] = is_filled


def opened(
  path: pathlib.Path,
  variables: Sequence[str] | None,
  left_out: Iterable[str] = (),
) -> tuple[Any, str]:
  """Returns the dataset that holds some variables, and its group.

  Args:
    path: of the file or store.
    variables: paths of variables; None takes the only group that holds fields,
      the root where it does.
    left_out: of `load`.

  Raises:
    ModuleNotFoundError: as of `load`.
    ValueError: as of `load`; or the variables lie in several groups, or are not
      there.
  """
  left_out = tuple(left_out)
  root, names = load(path, "", left_out), list(_names(path))
  if not names or (variables is None and cf.names(root)):
    return root, ""
  loaded = {"": root} | {name: load(path, name, left_out) for name in names}
  fields = {name: cf.names(dataset) for name, dataset in loaded.items()}
  known = [
    f"{name}/{field}".strip("/") for name in fields for field in fields[name]
  ]
  if variables is None:
    wanted = {name for name in names if fields[name]}
    if len(wanted) > 1:
      raise ValueError(
        f"{path} holds {', '.join(known)}: name the variables to take"
      )
  else:
    wanted = {str(name).rpartition("/")[0] for name in variables}
    is_there = all(
      name in known or name.rpartition("/")[2] in loaded[group].variables
      for name in map(str, variables)
      if (group := name.rpartition("/")[0]) in loaded
    )
    if not is_there or not wanted <= set(loaded):
      inputs.choose(variables, known, path)
    if len(wanted) > 1:
      raise ValueError(
        f"{path}: {', '.join(variables)} lie in different groups: name "
        "variables of one"
      )
  group = next(iter(wanted), "")
  dataset = loaded[group]
  for above in _above(group):
    dataset = _with_coordinates(dataset, loaded[above], fields[above])
  return dataset.rename({n: f"{group}/{n}" for n in fields[group] if group}), (
    group
  )


def _above(group: str) -> Iterator[str]:
  """Yields the groups that a group lies in, the nearest first."""
  while group:
    group = group.rpartition("/")[0]
    yield group


def attributes_above(path: pathlib.Path, group: str) -> dict[str, Any]:
  """Returns the attributes of the groups that a group lies in, outer first."""
  return {name: dict(load(path, name).attrs) for name in _above(group)}


def _with_coordinates(dataset: Any, above: Any, fields: Sequence[str]) -> Any:
  """Returns a dataset with what another one says of its dimensions."""
  sizes = dataset.sizes.items()
  return dataset.assign(
    {
      name: raw
      for name, raw in above.variables.items()
      if name not in dataset.variables and name not in fields
      if raw.sizes.items() <= sizes
    }
  )


def _names(path: pathlib.Path) -> Iterator[str]:
  """Yields the paths of all groups but the root, outer ones first."""
  if path.is_dir():
    zarr = inputs.require("zarr", "io")
    with inputs.beside_others():
      root = zarr.open_group(path, mode="r")
      names = list(_below(root, lambda g: dict(g.groups())))
    yield from names
  else:
    with inputs.require("netCDF4", "io").Dataset(path) as file:
      yield from _below(file, lambda group: group.groups)


def _below(group: Any, members: Any, path: str = "") -> Iterator[str]:
  for name, one in members(group).items():
    yield path + name
    yield from _below(one, members, f"{path}{name}/")
