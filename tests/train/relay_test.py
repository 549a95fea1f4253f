"""The relay answers while this Python stands still, and ends with it."""

import ctypes
import signal
import socket
import subprocess
import sys

import pytest

from hinote_jax.train import relay

# As process 0 is: another process, whose port opens late.
_ECHO = """
import socket, sys, time
time.sleep(0.2)
connection = socket.create_server(("127.0.0.1", int(sys.argv[1]))).accept()[0]
while data := connection.recv(100):
  connection.sendall(data)
connection.sendall(b"end")
"""


@pytest.fixture
def connection():
  """A connection to one that sends back what comes, by the relay."""
  with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
  echo = subprocess.Popen([sys.executable, "-c", _ECHO, str(port)])
  host, _, relayed = relay.begin(f"127.0.0.1:{port}").partition(":")
  with socket.create_connection((host, int(relayed)), timeout=60) as made:
    yield made
    echo.kill()
    echo.wait()
  process = relay._beside.pop()
  process.stdin.close()
  assert process.wait(10) == 0


def test_it_answers_while_no_thread_of_this_python_can_run(connection):
  connection.sendall(b"first")
  assert connection.recv(100) == b"first"
  connection.settimeout(None)
  limit = (10).to_bytes(8, sys.byteorder) + bytes(8)  # seconds, microseconds
  connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
  buffer = ctypes.create_string_buffer(100)
  connection.sendall(b"second")
  held = ctypes.PyDLL(None)  # of which functions keep the interpreter's lock
  assert held.recv(connection.fileno(), buffer, 100, 0) == 6
  assert buffer.value == b"second"


def test_it_passes_an_end_on_to_the_other_but_not_back(connection):
  connection.shutdown(socket.SHUT_WR)
  assert connection.recv(100) == b"end"
  connection.settimeout(0.3)
  with pytest.raises(TimeoutError):  # the other has ended; JAX would abort
    connection.recv(100)


def test_it_stays_where_a_signal_comes_to_all_of_a_job(connection):
  connection.sendall(b"once")
  assert connection.recv(100) == b"once"
  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    relay._beside[-1].send_signal(number)
  connection.sendall(b"more")
  assert connection.recv(100) == b"more"
