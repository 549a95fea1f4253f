"""Batches made ahead, while the devices work on those before."""

from collections.abc import Callable, Generator, Iterable
import queue
import threading
from typing import Any

Batch = dict[str, Any]


def prefetch(
  make_batch: Callable[[int], Batch], steps: Iterable[int], depth: int = 2
) -> Generator[tuple[int, Batch]]:
  """Yields (step, make_batch(step)), made ahead by one background thread.

  An error of `make_batch` is raised to the consumer at its step. Closing the
  generator, or leaving the loop, stops the thread.

  Args:
    make_batch: makes the batch of a step; runs in the thread.
    steps: which steps, in order; may be endless.
    depth: how many batches may wait.
  """
  waiting = queue.Queue(maxsize=depth)
  stop = threading.Event()

  def put(item) -> bool:
    while not stop.is_set():
      try:
        waiting.put(item, timeout=0.1)
        return True
      except queue.Full:
        continue
    return False

  def work():
    try:
      for step in steps:
        if not put(((step, make_batch(step)), None)):
          return
      put((None, None))
    except BaseException as error:
      put((None, error))

  thread = threading.Thread(target=work, name="prefetch", daemon=True)
  thread.start()
  try:
    while True:
      item, error = waiting.get()
      if error is not None:
        raise error
      if item is None:
        return
      yield item
  finally:
    stop.set()
    thread.join()
