"""What stands behind the balancer: one program that serves two ports, and sends the requests that a run is judged by.

It runs on the one instance, whose user data it is, or on this machine where the balancer is a local one. It needs
nothing but Python. It ends by itself: `target.py SECONDS HOST PORT PATHS PORT_OF_PROD1 PORT_OF_PROD2`
"""

import base64
import hashlib
import http.client
import http.server
import sys
import threading
import time

PER_SECOND = 20
# What is asked for by these queries comes so late, in seconds, and for the first of them nobody waits so long.
HANG_UP, LATE_BODY, WEB_SOCKET = "hang-up", "late-body", "web-socket"
LATE_SECONDS, PATIENCE_SECONDS = 3, 1
# By the standard of WebSockets, RFC 6455.
KEY, SALT = "dGhlIHNhbXBsZSBub25jZQ==", "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Page(http.server.BaseHTTPRequestHandler):
    """The same page whatever is asked for, but for the queries above."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, as http.server names it
        _, _, query = self.path.partition("?")
        if query == HANG_UP:
            time.sleep(LATE_SECONDS)
        if query == WEB_SOCKET:
            return self.switch()
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.flush()
        if query == LATE_BODY:
            time.sleep(LATE_SECONDS)
        self.wfile.write(b"ok\n")

    def switch(self):
        """To a WebSocket on which nothing is said."""
        accepted = hashlib.sha1((self.headers.get("Sec-WebSocket-Key", "") + SALT).encode()).digest()
        self.send_response(101)
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": base64.b64encode(accepted).decode()}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_):
        """Nobody reads it."""


def serve(port):
    http.server.ThreadingHTTPServer(("", port), Page).serve_forever()


def send(host, port, paths, until):
    """Some requests a second, one after the other, also while nobody answers."""
    connection, number = None, 0
    while time.monotonic() < until:
        number += 1
        try:
            connection = connection or http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", paths[number % len(paths)])
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection = None
        time.sleep(1 / PER_SECOND)


def ask(host, port, path, headers=None, patience=5):
    """The status and the body of one answer."""
    connection = http.client.HTTPConnection(host, port, timeout=patience)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, (b"" if answer.status == 101 else answer.read())
    finally:
        connection.close()


def send_told(host, port, paths, until):
    """Once a second the query that the balancer names by a fixed response on a path of its own, if it names one."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    while time.monotonic() < until:
        try:
            told = ask(host, port, f"{paths[0]}-told")[1].decode()
            if told in (HANG_UP, LATE_BODY, WEB_SOCKET):
                patience = PATIENCE_SECONDS if told == HANG_UP else 2 * LATE_SECONDS
                ask(host, port, f"{paths[0]}-odd?{told}", upgrade if told == WEB_SOCKET else None, patience)
        except (OSError, http.client.HTTPException, UnicodeDecodeError):
            pass
        time.sleep(0.2 if host == "127.0.0.1" else 1)


def main(seconds, host, port, paths, *ports):
    for each in ports:
        threading.Thread(target=serve, args=(int(each),), daemon=True).start()
    told = (host, int(port), paths.split(","), time.monotonic() + float(seconds))
    threading.Thread(target=send_told, args=told, daemon=True).start()
    send(*told)


if __name__ == "__main__":
    main(*sys.argv[1:])
