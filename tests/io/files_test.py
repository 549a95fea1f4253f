"""Files are whole: the old one stands until the new one is complete."""

import os
import pathlib

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


if __name__ == "__main__":
  absltest.main()
