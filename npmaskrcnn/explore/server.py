"""The explorer's server: the page and its questions, for the browser on this computer and for nobody else.

It listens on 127.0.0.1, which other computers cannot reach. But every page that is open in a browser here can, and so
can every program. So its address contains a token that cannot be guessed; the host and the origin that a request names
must be this server's own (a foreign page cannot lie about them); and what comes is read within limits, of bytes and of
seconds. A request that is wrong is refused, one that breaks off is dropped, and neither disturbs the next.

One question is computed at a time. Of the questions ``look``, ``channel``, ``roi``, ``gradient`` and ``minds`` only
the newest of each is computed: if a newer one comes while an older one waits, the older is answered
``{"superseded": true}`` when its turn comes, and whoever still wants to know asks again, as the page does. (A page
waits for each answer before it asks the next question, so this happens only if several windows or programs ask.) All
other questions are answered.

============================  ======================================================================================
``GET /<token>/``             the page; ``GET /<token>/<file>`` its files, and nothing else on the disk
``POST /<token>/api``         a question in JSON (`api`); the answer is one message (`packing`)
``POST /<token>/picture``     the question ``picture``, with the bytes of a file, at most 32 MiB; or with
                              ``?width=128&height=96`` raw ones: red, green, blue, row by row
============================  ======================================================================================

A body needs a Content-Length (no chunks). To a POST with the right address the answer is always a message. If the
request could not be read, or if we failed, that is ``{"error": ...}``, with the status 400, 411, 413 or 500. Every
other refusal is a status and a line. The policy that is sent with the page lets it load scripts and styles from files
of this server only, and pictures also from ``data:`` and ``blob:`` addresses. The page should name an icon,
``<link rel="icon" href="data:,">``: else a browser asks for one at an address that is not served.
"""

import contextlib
import hmac
import io
import os
import re
import secrets
import socket
import socketserver
import sys
import threading
import time
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

from ..errors import InputError
from .api import parsed, refused
from .packing import pack

ADDRESS, USUAL_PORT = "127.0.0.1", 80
PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
         ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
MESSAGE, LINE = "application/octet-stream", TYPES[".txt"]
MOST_JSON, MOST_PICTURE = 256 * 1024, 32 * 1024 * 1024      # bytes
SECONDS_TO_SEND = 10        # for a request to arrive, and for its answer to be taken
SECONDS_OF_REST = 60        # between two requests on a connection
SECONDS_TO_DRAIN = 2        # for a refused sender to stop sending
MOST_CONNECTIONS = 100
ONLY_THE_NEWEST = ("look", "channel", "roi", "gradient", "minds")
TOKEN_BYTES = 16
HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}


class Desk:
    """Where questions wait: one is computed at a time, and of some kinds only the newest.

    Parameters
    ----------
    explorer : Explorer
    """

    def __init__(self, explorer):
        self.explorer = explorer
        self._turn, self._newest = threading.Lock(), {}     # the newest question of each kind in `ONLY_THE_NEWEST`

    def ask(self, request, blob=b""):
        """Return the message that answers a request; may be called by many threads at once."""
        kind, ticket = request.get("ask") if isinstance(request, dict) else None, object()
        is_replaceable = kind in ONLY_THE_NEWEST
        if is_replaceable:
            self._newest[kind] = ticket
        with self._turn:
            if is_replaceable and self._newest[kind] is not ticket:
                return pack({"superseded": True}, {})
            return pack(*self.explorer.answer(request, blob))


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """The server, listening as soon as it is made.

    Parameters
    ----------
    explorer : Explorer
    port : int
        0 takes any that is free.

    Raises
    ------
    InputError
        If the port cannot be had.

    Attributes
    ----------
    address : str
        Of the page, token and all.
    """

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS
    allow_reuse_address = os.name == "posix"    # elsewhere two servers could then listen on one port

    def __init__(self, explorer, port=0):
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            raise InputError(f"port {port} cannot be used ({error.strerror or error}); take another (--port), or none, "
                             "and a free one is found") from None
        self.desk, self.token = Desk(explorer), secrets.token_urlsafe(TOKEN_BYTES)
        port = self.server_address[1]
        names = (ADDRESS, "localhost")
        self.hosts = {f"{name}:{port}" for name in names}
        if port == USUAL_PORT:      # which browsers leave out
            self.hosts.update(names)
        self.address = f"http://{ADDRESS}:{port}/{self.token}/"
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def server_bind(self):
        """Bind, without asking a name server for our name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def process_request(self, request, client_address):
        """Give a connection a thread of its own, or close it if there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:       # there was no thread to be had
            self._room.release()
            raise

    def process_request_thread(self, request, client_address):
        """Serve a connection, in its thread, until its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request, client_address):
        """Print the traceback of a fault of ours; connections that broke off are none."""
        if not isinstance(sys.exc_info()[1], (OSError, EOFError)):
            traceback.print_exc()


class Arriving(io.RawIOBase):
    """What comes over a connection, within limits of time: for a whole request, and between two.

    A limit for each read alone would let somebody send a byte every few seconds, for ever.
    """

    def __init__(self, connection):
        self.connection, self.since = connection, None      # when the first byte of the request came

    def begin(self):
        """Expect a new request, whose time counts from its first byte."""
        self.since = None

    def readable(self):
        """Tell `io.BufferedReader` that this is for reading."""
        return True

    def readinto(self, buffer):
        """Read into a buffer what is there; TimeoutError if nothing comes in time."""
        left = SECONDS_OF_REST if self.since is None else self.since + SECONDS_TO_SEND - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        number = self.connection.recv_into(buffer)
        if self.since is None:
            self.since = time.monotonic()
        return number


class Refused(Exception):
    """A request that is not answered: a status and a line, which is sent as such or as a message."""

    def __init__(self, status, line, as_message=False):
        super().__init__(line)
        self.status, self.as_message = status, as_message


class Handler(BaseHTTPRequestHandler):
    """One connection, request after request."""

    protocol_version = "HTTP/1.1"           # a connection stays open: to open one for each drag would take longer
    disable_nagle_algorithm = True          # else the system waits up to 40 ms for more to send
    server_version, sys_version = "npmaskrcnn", ""

    def setup(self):
        """Read by way of `Arriving`, which limits the time."""
        super().setup()
        self.rfile = io.BufferedReader(Arriving(self.connection))

    def handle_one_request(self):
        """Serve one request."""
        self.rfile.raw.begin()
        super().handle_one_request()

    def do_GET(self):
        """Send the page or one of its files."""
        self._serve(self._send_file)

    def do_POST(self):
        """Answer a question."""
        self._serve(self._send_answer)

    def _serve(self, send):
        """Judge a request, and answer it."""
        try:
            path, _, query = self.path.partition("?")
            self._judge_sender()
            send(self._inside(path), query)
        except Refused as refusal:
            self.close_connection = True        # what was not read would be taken for the next request
            body = pack(refused(refusal), {}) if refusal.as_message else f"{refusal}\n".encode()
            self._send(refusal.status, MESSAGE if refusal.as_message else LINE, body)
            self._drain()

    def _judge_sender(self):
        """Refuse what another page sends: browsers say to which host, and from which page."""
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this host is not served here")
        if len(origins) > 1 or any(origin.lower() not in {f"http://{host}" for host in self.server.hosts}
                                   for origin in origins):
            raise Refused(HTTPStatus.FORBIDDEN, "other pages are not answered")

    def _inside(self, path):
        """What follows the token in a path."""
        token, slash, name = path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here; the explorer has printed a longer address")
        if not slash:
            raise Refused(HTTPStatus.NOT_FOUND, "the address ends with a slash")
        return name

    def _send_file(self, name, _query):
        # Only what is in the folder has a name here, so that no name can lead out of it.
        files = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*")
                 if path.suffix in TYPES and path.is_file()}
        path = files.get(name or "index.html")
        if path is None:
            raise Refused(HTTPStatus.NOT_FOUND, "the page has no such file")
        self._send(HTTPStatus.OK, TYPES[path.suffix], path.read_bytes())

    def _send_answer(self, name, query):
        if name == "api":
            body, blob = self._body(MOST_JSON), b""
            try:
                request = parsed(body)
            except InputError as error:
                raise Refused(HTTPStatus.BAD_REQUEST, error, as_message=True) from None
        elif name == "picture":
            sides = dict(parse_qsl(query))      # no more of them than a line of HTTP may hold
            request = {"ask": "picture", **{side: int(value) if re.fullmatch("[0-9]{1,9}", value) else value
                                            for side, value in sides.items() if side != "ask"}}
            blob = self._body(MOST_PICTURE)
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "questions go to api or picture")
        try:
            message, status = self.server.desk.ask(request, blob), HTTPStatus.OK
        except Exception as error:      # a fault of ours, not of who asks: the next question may be answered
            traceback.print_exc()
            message = pack(refused(f"this should not have happened: {type(error).__name__}"), {})
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        self._send(status, MESSAGE, message)

    def _body(self, most):
        """Read the body of a request, which must say how long it is."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is needed", as_message=True)
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0].strip()):
            raise Refused(HTTPStatus.BAD_REQUEST, "the Content-Length is no number", as_message=True)
        length = int(lengths[0])
        if length > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{length:,} bytes are too many, the limit is {most:,}",
                          as_message=True)
        body = self.rfile.read(length)
        if len(body) < length:
            raise EOFError      # whoever has sent it is gone
        return body

    def _send(self, status, kind, body):
        """Send an answer in one piece: of two, the second might wait until the receiver confirms the first."""
        head = {"Content-Type": kind, "Content-Length": len(body), **HEADERS,
                "Connection": "close" if self.close_connection else "keep-alive"}
        lines = [f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {text}" for name, text in head.items()]
        self.connection.settimeout(SECONDS_TO_SEND)
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + (b"" if self.command == "HEAD" else body))

    def _drain(self):
        """Throw away what a refused sender still sends: to close at once would take the answer from it, too."""
        end = time.monotonic() + SECONDS_TO_DRAIN
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(1 << 16):
                    break

    def send_error(self, code, message=None, explain=None):  # noqa: ARG002 (the standard library calls it so)
        """Refuse what is no HTTP, or a method that is not known."""
        self.close_connection = True
        self._send(code, LINE, f"{message or HTTPStatus(code).phrase}\n".encode("ascii", "replace"))
        self._drain()

    def log_message(self, *_):
        """Print no line for each request, as the standard library would."""
