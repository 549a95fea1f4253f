"""JAX's connection to process 0, by way of a small process beside this one.

JAX aborts at once where the connection to process 0 ends. The one to the relay
does not end, so that `peers` may say what has happened. It is a process and no
thread: JAX waits for answers in places where no thread of this Python can run.

This file is also the program of that process, and so imports no other of ours.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

_beside = []  # the relays of this process, which end when it does


def begin(address: str) -> str:
  """Returns an address on this machine from which all goes to another.

  Args:
    address: host and port of process 0, which may not be open yet.
  """
  host, _, port = address.rpartition(":")
  with socket.create_server(("127.0.0.1", 0)) as server:
    listening = server.fileno()
    command = [sys.executable, "-I", "-S", __file__]
    command += [str(listening), host.strip("[]"), port]
    # Its input ends with this process, however that ends; of the signals that
    # come to a whole job, this process hears.
    process = subprocess.Popen(
      command,
      stdin=subprocess.PIPE,
      stdout=subprocess.DEVNULL,
      pass_fds=[listening],
      start_new_session=True,
    )
    _beside.append(process)
    return f"127.0.0.1:{server.getsockname()[1]}"


def _pump(source: socket.socket, target: socket.socket, is_ours: bool) -> None:
  with contextlib.suppress(OSError):
    while data := source.recv(1 << 16):
      target.sendall(data)
    if is_ours:
      target.shutdown(socket.SHUT_WR)


def _serve(server: socket.socket, host: str, port: int) -> None:
  while True:
    ours, _ = server.accept()
    while True:
      try:
        theirs = socket.create_connection((host, port))
        break
      except OSError:
        time.sleep(0.1)  # JAX has the port in a moment
    for ends in ((ours, theirs, True), (theirs, ours, False)):
      threading.Thread(target=_pump, args=ends, daemon=True).start()


def main() -> None:
  """Relays until the input ends."""
  for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
  listening, host, port = sys.argv[1:]
  server = socket.socket(fileno=int(listening))
  where = server, host, int(port)
  threading.Thread(target=_serve, args=where, daemon=True).start()
  sys.stdin.buffer.read()
  os._exit(0)


if __name__ == "__main__":
  main()
