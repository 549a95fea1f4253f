"""What setup.cfg cannot say: configs/ is installed in the package."""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=["hinote_jax*"]),
    "hinote_jax.shipped.configs",
  ],
  package_dir={"hinote_jax.shipped.configs": "configs"},
)
