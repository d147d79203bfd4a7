"""Exit code 0 where this container's HTTP server answers `path` with 200: `python healthy.py PORT PATH`."""

import socket
import sys

port, path = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    status = connection.recv(64)
sys.exit(0 if b" 200 " in status else 1)
