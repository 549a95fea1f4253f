"""The package on systems that lack what Linux has."""

import subprocess
import sys

# What Windows or macOS have not; a module that needs it names it in a guard.
_CODE = """
import importlib, os, pkgutil, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
  sys.modules[name] = None  # the import raises ImportError
for name in ("posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "fork"):
  delattr(os, name)
import hinote_jax
names = pkgutil.walk_packages(hinote_jax.__path__, "hinote_jax.")
for name in sorted(module.name for module in names):
  importlib.import_module(name)
  print(name)
"""


def test_every_module_is_imported_without_what_only_linux_has():
  done = subprocess.run(
    [sys.executable, "-c", _CODE], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert len(done.stdout.split()) > 100
