"""Health check of a container: `python healthy.py PORT PATH` exits with 0 if the path is answered with 200."""

import socket
import sys

port, path = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    status = connection.recv(64)
sys.exit(0 if b" 200 " in status else 1)
