"""Answers `N\n` with N bytes and closes: what is measured is the way there, so the server does next to nothing."""

import socket
import threading

BLOCK = bytes(1 << 20)


def serve(connection):
    with connection:
        line = b""
        while not line.endswith(b"\n"):
            part = connection.recv(64)
            if not part:
                return
            line += part
        left = int(line)
        while left > 0:
            left -= connection.send(BLOCK[: min(left, len(BLOCK))])


listener = socket.create_server(("", 8080), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
while True:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
