"""The explorer's server: the page and its questions, for the browser on this computer and for nobody else.

It listens on 127.0.0.1, and other computers cannot reach that. But every page that is open in a browser here can, and
so can every program. So an address has a token in it that cannot be guessed; the host and the origin that a request
names must be this server's own (a foreign page cannot lie about them); and whatever comes is read within limits, of
bytes and of seconds. What is wrong is refused, what breaks off is forgotten, and the page goes on.

Who drags a shape sends a new scene every few milliseconds, and an answer to an old one is of no use. So there is one
computation at a time, and of the questions ``look``, ``channel``, ``roi``, ``gradient`` and ``minds`` only the newest
of each waits for it: when it comes, the one before is answered ``{"superseded": true}`` at once. (By another window,
perhaps: a page that still wants to know asks again.) The other questions wait in line.

============================  ======================================================================================
``GET /<token>/``             the page; ``GET /<token>/<file>`` its files, and nothing else on the disk
``POST /<token>/api``         a question in JSON (`api`); the answer is one message (`packing`)
``POST /<token>/picture``     the question ``picture``, with the bytes of a file, at most 32 MiB; or with
                              ``?width=128&height=96`` raw ones: red, green, blue, row by row
============================  ======================================================================================

A body needs a Content-Length (no chunks). Whoever has the right address gets a message as answer to a POST, whatever
was wrong with it: ``{"error": ...}``, with the status 400, 411, 413 or 500 where it was not the question itself. All
else gets a status and a line. The page must keep its scripts and styles in files of their own, and load nothing from
elsewhere: the policy sent with it forbids both (pictures may be ``data:`` and ``blob:`` addresses). And it should
name an icon, ``<link rel="icon" href="data:,">``, since a browser asks for one at an address that is not served.
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
from ..files import Unreadable, parse_json
from .packing import pack

ADDRESS = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
         ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
MESSAGE, LINE = "application/octet-stream", TYPES[".txt"]
MOST_JSON, MOST_PICTURE = 256 * 1024, 32 * 1024 * 1024      # bytes
# A request may take so long to arrive, and an answer to be taken; between two; until a refused sender has heard of it.
SECONDS_TO_SEND, SECONDS_OF_REST, SECONDS_TO_HEAR = 10, 60, 2
MOST_CONNECTIONS = 100
ONLY_THE_NEWEST = ("look", "channel", "roi", "gradient", "minds")
TOKEN_BYTES = 16
HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}


class Desk:
    """Where questions wait: one is computed at a time.

    Parameters
    ----------
    explorer : Explorer
    """

    def __init__(self, explorer):
        self.explorer = explorer
        self._change = threading.Condition()
        self._waiting, self._busy = {}, False       # tickets by kind of question; the first is the next

    def ask(self, request, blob=b""):
        """Return the message that answers a request; may be called by many threads at once."""
        ticket = object()
        kind = request.get("ask") if isinstance(request, dict) else None
        kind = kind if isinstance(kind, str) and kind in ONLY_THE_NEWEST else ticket    # else of its own kind
        with self._change:
            self._waiting[kind] = ticket            # in the place of the one that was there
            self._change.notify_all()
            self._change.wait_for(lambda: self._waiting.get(kind) is not ticket
                                  or not self._busy and next(iter(self._waiting)) == kind)
            if self._waiting.get(kind) is not ticket:
                return pack({"superseded": True}, {})
            del self._waiting[kind]
            self._busy = True
        try:
            return pack(*self.explorer.answer(request, blob))
        finally:
            with self._change:
                self._busy = False
                self._change.notify_all()


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
        ends = [f":{port}", *[""] * (port == 80)]       # browsers leave the usual port out
        self.hosts = {host + end for host in (ADDRESS, "localhost") for end in ends}
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
        """Say nothing of connections that broke off; of anything else, which is our fault, all."""
        if not isinstance(sys.exc_info()[1], (OSError, EOFError)):
            traceback.print_exc()


class Arriving(io.RawIOBase):
    """What comes over a connection, within limits of time: for a whole request, and between two.

    A limit for each read alone would let somebody send a byte every few seconds, for ever.
    """

    def __init__(self, connection):
        self.connection, self.since = connection, None

    def begin(self):
        """Wait for a request, and begin to count when its first byte is there."""
        self.since = None

    def readable(self):
        """Yes."""
        return True

    def readinto(self, buffer):
        """Read what is there; TimeoutError if it takes too long."""
        left = SECONDS_OF_REST if self.since is None else self.since + SECONDS_TO_SEND - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        number = self.connection.recv_into(buffer)
        if self.since is None:
            self.since = time.monotonic()
        return number


class Refused(Exception):
    """A request that is not answered: a status, and a line."""

    def __init__(self, status, line, message=False):
        self.status, self.line, self.message = status, line, message


class Handler(BaseHTTPRequestHandler):
    """One connection, request after request."""

    protocol_version = "HTTP/1.1"           # a connection stays open: to open one for each drag would take longer
    disable_nagle_algorithm = True          # else the system waits up to 40 ms for more to send
    server_version, sys_version = "npmaskrcnn", ""

    def setup(self):
        """Count the time from here on."""
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
        except Refused as refused:
            self.close_connection = True        # what was not read would be taken for the next request
            body = pack({"error": refused.line}, {}) if refused.message else f"{refused.line}\n".encode()
            self._send(refused.status, MESSAGE if refused.message else LINE, body)
            self._hear_out()

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
            request, blob = self._question(self._body(MOST_JSON)), b""
        elif name == "picture":
            sides = dict(parse_qsl(query, max_num_fields=8))
            request = {"ask": "picture", **{side: int(value) if re.fullmatch("[0-9]{1,9}", value) else value
                                            for side, value in sides.items() if side != "ask"}}
            blob = self._body(MOST_PICTURE)
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "questions go to api or picture")
        try:
            message, status = self.server.desk.ask(request, blob), HTTPStatus.OK
        except Exception as error:      # a fault of ours, not of who asks: the next question may be answered
            traceback.print_exc()
            message = pack({"error": f"this should not have happened: {type(error).__name__}"}, {})
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        self._send(status, MESSAGE, message)

    def _question(self, body):
        try:
            return parse_json(body)
        except Unreadable as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the request {error}"[:400], message=True) from None

    def _body(self, most):
        """Read the body of a request, which must say how long it is."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is needed", message=True)
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0].strip()):
            raise Refused(HTTPStatus.BAD_REQUEST, "the Content-Length is no number", message=True)
        length = int(lengths[0])
        if length > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{length:,} bytes are too many, the limit is {most:,}",
                          message=True)
        body = self.rfile.read(length)
        if len(body) < length:
            raise EOFError      # whoever has sent it is gone
        return body

    def _send(self, status, kind, body):
        """Send an answer in one piece: what was sent in two would wait for the receiver's word between them."""
        head = {"Content-Type": kind, "Content-Length": len(body), **HEADERS,
                "Connection": "close" if self.close_connection else "keep-alive"}
        lines = [f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {text}" for name, text in head.items()]
        self.connection.settimeout(SECONDS_TO_SEND)
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + (b"" if self.command == "HEAD" else body))

    def _hear_out(self):
        """Let a refused sender finish: to hang up on somebody who talks takes away the answer that was sent, too."""
        end = time.monotonic() + SECONDS_TO_HEAR
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
        self._hear_out()

    def log_message(self, *_):
        """Say nothing."""
