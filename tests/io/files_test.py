"""Files are whole: the old one stands until the new one is complete."""

import errno
import os
import pathlib
import shutil
import subprocess
from unittest import mock

from absl.testing import absltest

from hinote_jax.io import files


class WholeTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.path = self.folder / "a.txt"

  def test_the_new_file_takes_the_place_of_the_old(self):
    self.path.write_text("old")
    with files.whole(self.path) as partial:
      partial.write_text("new")
      self.assertEqual(self.path.read_text(), "old")
    self.assertEqual(self.path.read_text(), "new")
    self.assertEqual(os.listdir(self.folder), ["a.txt"])

  def test_an_error_leaves_the_old_file_alone(self):
    self.path.write_text("old")
    with self.assertRaisesRegex(OSError, "disk"):
      with files.whole(self.path) as partial:
        partial.write_text("half of")
        raise OSError("disk")
    self.assertEqual(self.path.read_text(), "old")
    self.assertEqual(os.listdir(self.folder), ["a.txt"])

  def test_an_error_before_anything_was_written(self):
    with self.assertRaisesRegex(OSError, "disk"):
      with files.whole(self.path):
        raise OSError("disk")
    self.assertEqual(os.listdir(self.folder), [])

  def test_processes_do_not_share_the_temporary(self):
    with files.whole(str(self.path)) as partial:
      self.assertEqual(partial.parent, self.folder)
      self.assertIn(str(os.getpid()), partial.name)
      partial.write_text("new")

  def test_text_is_utf8(self):
    files.write_text(self.path, "m s⁻¹\n")
    self.assertEqual(self.path.read_bytes(), "m s⁻¹\n".encode())

  def test_a_text_that_cannot_be_encoded_leaves_the_old_file(self):
    files.write_text(self.path, "old")
    with self.assertRaises(UnicodeEncodeError):
      files.write_text(self.path, "\ud800")
    self.assertEqual(self.path.read_text(), "old")
    self.assertEqual(os.listdir(self.folder), ["a.txt"])

  def test_a_folder_takes_the_place_of_another_by_one_rename(self):
    folders = [self.folder / name for name in ("new", "old")]
    for folder in folders:
      folder.mkdir()
      (folder / "it").write_text(folder.name)
    with mock.patch.object(os, "replace", side_effect=AssertionError):
      files.replace(*folders)
    self.assertEqual((folders[1] / "it").read_text(), "new")
    self.assertEqual(os.listdir(self.folder), ["old"])

  @mock.patch.object(files, "_exchange", return_value=False)
  def test_nor_is_it_lost_where_two_are_needed(self, _):
    for version in ("old", "new"):
      with files.whole(self.path) as partial:
        partial.mkdir()
        files.write_text(partial / "it", version)
    self.assertEqual((self.path / "it").read_text(), "new")
    self.assertEqual(os.listdir(self.folder), ["a.txt"])

  def test_all_is_on_the_disk_before_it_has_its_name(self):
    calls, fsync, replace = [], os.fsync, os.replace

    def note_fsync(descriptor):
      calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
      fsync(descriptor)

    def note_replace(*names):
      calls.append("replace")
      replace(*names)

    with mock.patch.multiple(os, fsync=note_fsync, replace=note_replace):
      with files.whole(self.path) as partial:
        partial.mkdir()
        (partial / "it").write_text("new")
    names = [pathlib.Path(call).name for call in calls]
    stem = f"a.txt.hinote-{os.getpid()}.tmp"
    self.assertEqual(names, ["it", stem, "replace", self.folder.name])

  def test_what_killed_processes_left_is_removed(self):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (self.folder / f"a.txt.hinote-{dead.pid}.tmp").write_text("half of")
    (self.folder / f"a.txt.hinote-{dead.pid}.old").mkdir()
    others = [
      f"a.txt.hinote-{os.getppid()}.tmp",
      f"b.txt.hinote-{dead.pid}.tmp",
      "a.1.txt",
    ]
    for name in others:
      (self.folder / name).write_text("of others")
    files.write_text(self.path, "new")
    self.assertEqual(self.path.read_text(), "new")
    self.assertCountEqual(os.listdir(self.folder), ["a.txt", *others])

  def test_what_was_moved_away_when_the_process_died_is_put_back(self):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (self.folder / f"a.txt.hinote-{dead.pid}.old").write_text("old")
    files.tidy(self.folder)
    self.assertEqual(self.path.read_text(), "old")

  def test_a_year_in_a_name_is_no_process(self):
    dead = subprocess.Popen(["true"])
    dead.wait()
    of_others = [f"a.{dead.pid}.{ending}.txt" for ending in ("tmp", "old")]
    for name in of_others:
      (self.folder / name).write_text("of others")
    with files.whole(self.path, ".txt") as partial:
      partial.write_text("new")
    files.tidy(self.folder)
    self.assertCountEqual(os.listdir(self.folder), ["a.txt", *of_others])


def test_a_folder_that_a_thread_still_fills_is_removed(tmp_path, monkeypatch):
  folder = tmp_path / "store"
  folder.mkdir()
  empty, late = shutil.rmtree, [1, 2]

  def fill(path):
    if late:
      (path / str(late.pop())).touch()
      raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))
    empty(path)

  monkeypatch.setattr(shutil, "rmtree", fill)
  files.remove(folder)
  assert not folder.exists()


if __name__ == "__main__":
  absltest.main()
