"""Pages and pictures of the site that lie outside of docs/.

A link is written as it is right in the repository, and turned here into one
that is right in the site.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_OUTSIDE = (
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "experiments/*/README.md",
  "experiments/*/*.png",
)
_LINK = re.compile(r"(\]\()([^)#:\s]+)(#[^)\s]*)?(\))")


def on_files(files, config):
  """Adds the files that lie outside."""
  for pattern in _OUTSIDE:
    for path in sorted(_ROOT.glob(pattern)):
      name = path.relative_to(_ROOT).as_posix()
      files.append(File.generated(config, name, abs_src_path=str(path)))
  return files


def on_page_markdown(markdown, page, config, files):
  """Turns the links of a page."""
  del config, files
  source = pathlib.Path(page.file.abs_src_path).relative_to(_ROOT)
  here = posixpath.dirname(page.file.src_uri)

  def turned(match):
    before, link, anchor, after = match.groups()
    target = posixpath.normpath(posixpath.join(source.parent.as_posix(), link))
    target = target.removeprefix("docs/")
    link = posixpath.relpath(target, here or ".")
    return f"{before}{link}{anchor or ''}{after}"

  return _LINK.sub(turned, markdown)
