"""What stands behind the balancer: one program that serves two ports, and sends the requests that a run is judged by.

It runs on the one instance, whose user data it is, or on this machine where the balancer is a local one. It needs
nothing but Python. It ends by itself: `target.py SECONDS HOST PORT PATHS PORT_OF_PROD1 PORT_OF_PROD2`
"""

import http.client
import http.server
import sys
import threading
import time

PER_SECOND = 20


class Page(http.server.BaseHTTPRequestHandler):
    """The same page whatever is asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, as http.server names it
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

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


def main(seconds, host, port, paths, *ports):
    for each in ports:
        threading.Thread(target=serve, args=(int(each),), daemon=True).start()
    send(host, int(port), paths.split(","), time.monotonic() + float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
