"""The server answers its own page and nobody else, and goes on whatever is sent to it.

A real one listens on a port of this computer. After each test an ordinary look must be answered as before.
"""

import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import InputError, cli
from npmaskrcnn.explore import Explorer, server
from npmaskrcnn.explore.packing import pack, unpack
from npmaskrcnn.explore.scene import presets
from npmaskrcnn.explore.server import Desk, Server

SCENE = presets()[0][2]
LOOK = {"ask": "look", "scene": SCENE, "score_threshold": 0.5}
PATIENCE = 20       # seconds; nothing here takes as long


@pytest.fixture(scope="module")
def running():
    with Server(Explorer()) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def still_answers(request):
    """Whatever a test has done to the server, the next look is answered."""
    yield
    if "running" in request.fixturenames:
        answer = {"superseded": True}
        while answer == {"superseded": True}:       # by a look that a test has left behind: as one must, ask again
            status, message = post(request.getfixturevalue("running"), LOOK)
            answer, arrays = unpack(message)
        assert status == 200 and [found["label"] for found in answer["detections"]] == [2, 2, 3, 1]
        assert arrays["masks"].shape == (4, 96, 128)


def connect(running):
    return http.client.HTTPConnection(*running.server_address, timeout=PATIENCE)


def ask(running, method, path, body=None, headers=None):
    """Return the status, the body and the headers of an answer."""
    connection = connect(running)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def post(running, question, path="api", **headers):
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    return ask(running, "POST", f"/{running.token}/{path}", body, headers)[:2]


def raw(running, *pieces, wait=0.0, end=True):
    """Send bytes as they are, with a pause between the pieces, and return all that comes back."""
    with socket.create_connection(running.server_address, timeout=PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(wait)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(1 << 16):
            received += piece
        return received


def head(running, *lines, method="POST", path="api"):
    host = f"Host: 127.0.0.1:{running.server_address[1]}"
    return "\r\n".join([f"{method} /{running.token}/{path} HTTP/1.1", host, *lines, "", ""]).encode()


# ---- what it is for ----


def test_the_page_and_its_files_are_served(running):
    status, body, headers = ask(running, "GET", f"/{running.token}/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert body == (server.PAGE / "index.html").read_bytes()
    assert ask(running, "GET", f"/{running.token}/index.html?again")[1] == body
    assert running.address == f"http://127.0.0.1:{running.server_address[1]}/{running.token}/"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    for name in ("Server", "Access-Control-Allow-Origin", "Set-Cookie"):
        assert headers[name] is None


def test_questions_are_answered_one_after_the_other_on_one_connection(running):
    connection = connect(running)
    connection.connect()
    own = connection.sock
    for question in ({"ask": "hello"}, LOOK, {"ask": "roi", "detection": 0}, {"ask": "look", "scene": 3}, LOOK):
        connection.request("POST", f"/{running.token}/api", json.dumps(question))
        answer, arrays = unpack(connection.getresponse().read())
        assert ("error" in answer) == (question.get("scene") == 3)
        assert connection.sock is own       # an answer that is an error does not end the connection
    np.testing.assert_array_equal(arrays["image"], unpack(Explorer().reply(json.dumps(LOOK).encode()))[1]["image"])
    connection.close()


def test_pictures_are_taken_as_files_and_as_bytes(running):
    from PIL import Image
    path = Path(npmaskrcnn.__file__).parents[1] / "docs" / "figures" / "cells.png"
    answer, arrays = unpack(post(running, path.read_bytes(), "picture")[1])
    assert arrays["image"].shape == (answer["height"], answer["width"], 3)
    assert max(answer["width"], answer["height"]) == 128
    assert abs(np.asarray(Image.open(path).convert("RGB")).mean() - arrays["image"].mean()) < 3
    answer, arrays = unpack(post(running, bytes(range(256)) * 3, "picture?width=16&height=16")[1])
    assert arrays["image"].ravel().tolist() == [*range(256)] * 3
    scene = {**SCENE, "width": 16, "height": 16, "noise": 0, "shapes": [], "picture": answer["picture"]}
    np.testing.assert_array_equal(unpack(post(running, {**LOOK, "scene": scene})[1])[1]["image"], arrays["image"])
    for wrong in (b"", b"no picture"):
        assert "the picture: " in unpack(post(running, wrong, "picture")[1])[0]["error"]
    for query in ("width=16", "width=x&height=16", "ask=hello&ask=look", "blob=3", "width=16&height=99999999999",
                  "&".join(f"side{i}=16" for i in range(20))):
        assert "error" in unpack(post(running, b"123", f"picture?{query}")[1])[0]


# ---- who is not answered ----


FOREIGN = [
    {"Host": "evil.example"}, {"Host": "evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"},
    {"Host": "127.0.0.1:{port}.evil.example"}, {"Host": ""}, {"Origin": "http://evil.example"}, {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost.evil.example:{port}"}, {"Origin": ""}, {"Origin": "http://127.0.0.1:{port}/"}]


def test_foreign_hosts_and_origins_are_refused(running):
    for foreign in FOREIGN:
        headers = {name: value.format(port=running.server_address[1]) for name, value in foreign.items()}
        for method, path, body in (("GET", "", None), ("POST", "api", json.dumps(LOOK))):
            status, line, _ = ask(running, method, f"/{running.token}/{path}", body, headers)
            assert status == 403 and len(line) < 100, (method, headers)


def test_the_own_page_is_answered_under_both_names(running):
    port = running.server_address[1]
    for name in ("127.0.0.1", "localhost", "LocalHost"):
        status, message = post(running, LOOK, Host=f"{name}:{port}", Origin=f"http://{name}:{port}")
        assert status == 200 and unpack(message)[0]["detections"]


def test_two_hosts_or_none_are_refused(running):
    port, body = running.server_address[1], b"{}"
    line = f"POST /{running.token}/api HTTP/1.1\r\nContent-Length: 2\r\n".encode()
    for hosts in ("", f"Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n"):
        assert raw(running, line + hosts.encode() + b"\r\n" + body).startswith(b"HTTP/1.1 403")


CHANGES = {"none": lambda token: "", "short": lambda token: token[:-1], "long": lambda token: token + "x",
           "case": str.swapcase, "other": lambda token: "x" * len(token), "dot": lambda token: "%2e",
           "accents": lambda token: "é" * 20, "detour": lambda token: f"./{token}", "huge": lambda token: "x" * 60_000,
           "escaped": lambda token: f"%{ord(token[0]):x}{token[1:]}"}


def test_without_the_token_there_is_nothing(running):
    token = running.token.encode()
    for name, change in CHANGES.items():
        for method, rest in (("GET", ""), ("GET", "index.html"), ("POST", "api"), ("POST", "picture")):
            request = head(running, "Content-Length: 2", method=method, path=rest)
            answer = raw(running, request.replace(token, change(running.token).encode()) + b"{}")
            assert answer.startswith(b"HTTP/1.1 404") and token not in answer and len(answer) < 1500, (name, method)


PATHS = [
    "../server.py", "..%2fserver.py", "%2e%2e/server.py", "page/../../server.py", "..\\server.py", "/etc/passwd",
    "//etc/passwd", "%2fetc%2fpasswd", "index.html%00.js", "index.html/", ".", "..", "./index.html", "api", "none.js",
    "~root", "C:/Windows/win.ini", "index.html/../../../setup.cfg", "__init__.py", "a" * 60_000]


def test_no_name_leads_out_of_the_folder(running):
    for path in PATHS:
        answer = raw(running, head(running, "Connection: close", method="GET", path=path))
        assert answer.startswith(b"HTTP/1.1 404") and len(answer) < 1500, path[:50]


def test_links_out_of_the_folder_are_the_only_way_and_the_developers_own(running, tmp_path, monkeypatch):
    (tmp_path / "page" / "icons").mkdir(parents=True)
    (tmp_path / "page" / "icons" / "a.svg").write_text("<svg/>")
    (tmp_path / "page" / "secret.key").write_text("no type of the page's")
    monkeypatch.setattr(server, "PAGE", tmp_path / "page")
    status, _, headers = ask(running, "GET", f"/{running.token}/icons/a.svg")
    assert status == 200 and headers["Content-Type"] == "image/svg+xml"
    for name in ("icons", "icons/", "secret.key", "", "icons/../secret.key"):
        assert ask(running, "GET", f"/{running.token}/{name}")[0] == 404


def test_other_methods_and_paths_are_refused(running):
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "HEAD", "LOOK"):
        assert ask(running, method, f"/{running.token}/api")[0] == 501
    for path in ("", "index.html", "api/", "API", "picture/1"):
        assert ask(running, "POST", f"/{running.token}/{path}", b"{}")[0] == 404
    assert ask(running, "GET", f"/{running.token}")[0] == 404


# ---- what cannot be read ----


NO_JSON = [
    b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"ask": "look", "ask": "hello"}', b"9" * 20_000, b"{}{}", b"\0" * 100,
    b"<html>", b'{"ask": "look"']
NO_QUESTION = [
    b"3", b"null", b"[]", b'{"ask": 3}', b'{"ask": ["look"]}', b'{"ask": "look", "scene": NaN}',
    b'{"ask": "look", "score_threshold": 1e999}', b'{"ask": "\\ud800"}']


def test_what_is_no_json_or_no_question_gets_a_message_that_says_so(running):
    for body in [*NO_JSON, *NO_QUESTION]:
        status, message = post(running, body)
        answer, arrays = unpack(message)
        assert status == (400 if body in NO_JSON else 200), body[:50]
        assert answer["error"].startswith("the request ") == (body in NO_JSON) and arrays == {}, answer
        assert "\n" not in answer["error"] and len(answer["error"]) <= 400


def test_what_is_nested_too_deeply_gets_a_message_wherever_that_is_noticed(running):
    for depth in range(850, 1000):
        status, message = post(running, b'{"ask": "look", "scene": ' + depth * b"[" + depth * b"]" + b"}")
        assert status in (200, 400) and "\n" not in unpack(message)[0]["error"]


LENGTHS = {
    "huge": (["Content-Length: 99999999999999999"], 413), "too long": (["Content-Length: 262145"], 413),
    "none": ([], 411), "negative": (["Content-Length: -1"], 400), "exponent": (["Content-Length: 1e3"], 400),
    "hexadecimal": (["Content-Length: 0x10"], 400), "plus": (["Content-Length: +5"], 400),
    "two": (["Content-Length: 5", "Content-Length: 6"], 400), "endless": (["Content-Length: " + "9" * 5000], 400),
    "arabic": (["Content-Length: ٣"], 400), "empty": (["Content-Length:"], 400),
    "chunked": (["Transfer-Encoding: chunked"], 411),
    "both": (["Transfer-Encoding: chunked", "Content-Length: 5"], 411)}


def test_bodies_of_no_length_or_too_long_are_not_read(running):
    start = time.monotonic()
    for name, (lines, status) in LENGTHS.items():
        answer = raw(running, head(running, *lines), end=False)     # nothing follows, and the answer comes all the same
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()) and b"Connection: close" in answer, name
        assert list(unpack(answer.partition(b"\r\n\r\n")[2])[0]) == ["error"]
    assert time.monotonic() - start < PATIENCE / 2


def test_who_sends_too_much_hears_that_it_was_too_much(running):
    for length in (server.MOST_JSON + 1, 50 * server.MOST_JSON):    # more than the system keeps for who does not listen
        status, message = post(running, b"x" * length)
        assert status == 413 and "too many" in unpack(message)[0]["error"]


NO_HTTP = [
    b"\0" * 1000, b"\r\n" * 10, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0", b"\xff" * 50, b"",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"A" * 70_000 + b"\r\n\r\n", b"HELO you\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n: \r\n\r\n",
    b"POST / HTTP/1.1\r\n\tfolded\r\n\r\n"]


def test_what_is_no_http_is_refused_or_forgotten(running):
    for sent in NO_HTTP:
        answer = raw(running, sent)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), sent[:50]


# ---- what breaks off, and what takes its time ----


def hang_up(connection):
    """Close without a word: the other side sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("reset", [False, True])
def test_requests_that_break_off_anywhere_are_forgotten(running, capsys, reset):
    body = json.dumps(LOOK).encode()
    whole = head(running, f"Content-Length: {len(body)}") + body
    for length in (*range(0, len(whole), 40), len(whole) - 1, len(whole)):
        connection = socket.create_connection(running.server_address, timeout=PATIENCE)
        connection.sendall(whole[:length])
        hang_up(connection) if reset else connection.close()
    post(running, LOOK)
    assert capsys.readouterr().err == ""
    assert raw(running, whole[:-20]) == b""     # not even if somebody is still listening


def test_who_does_not_take_the_answer_holds_nobody_up(running, monkeypatch):
    monkeypatch.setattr(server, "SECONDS_TO_SEND", 0.5)
    body = json.dumps({**LOOK, "scene": {**SCENE, "width": 256, "height": 256}}).encode()
    deaf = []
    for _ in range(5):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(running.server_address)
        connection.sendall((head(running, f"Content-Length: {len(body)}") + body) * 3)
        deaf.append(connection)
    assert post(running, {"ask": "hello"})[0] == 200
    for connection in deaf:
        connection.close()


def test_who_sends_slowly_is_let_go(running, monkeypatch):
    monkeypatch.setattr(server, "SECONDS_TO_SEND", 0.5)
    start, sent = time.monotonic(), 0
    with socket.create_connection(running.server_address, timeout=PATIENCE) as connection, pytest.raises(OSError):
        while time.monotonic() < start + PATIENCE:
            connection.sendall(b"POST /"[sent:sent + 1] or b"x")     # always a bit more, never the whole
            sent += 1
            time.sleep(0.1)
    assert 0.5 <= time.monotonic() - start < PATIENCE / 2
    body = json.dumps(LOOK).encode()
    assert raw(running, head(running, f"Content-Length: {len(body)}"), body[:10], end=False) == b""     # and no more


def test_who_sends_in_pieces_is_answered(running):
    body = json.dumps(LOOK).encode()
    whole = head(running, f"Content-Length: {len(body)}", "Connection: close") + body
    answer = raw(running, *(whole[i:i + 50] for i in range(0, len(whole), 50)), wait=0.002)
    assert answer.startswith(b"HTTP/1.1 200") and unpack(answer.partition(b"\r\n\r\n")[2])[0]["detections"]


def test_a_connection_that_rests_is_closed(running, monkeypatch):
    monkeypatch.setattr(server, "SECONDS_OF_REST", 0.3)
    assert raw(running, end=False) == b""
    answer = raw(running, head(running, method="GET", path=""), end=False)      # after an answer, too
    assert answer.count(b"HTTP/1.1 200") == 1


# ---- many at once ----


def test_many_at_once_are_all_answered(running):
    answers = []

    def one(i):
        question = [LOOK, {"ask": "hello"}, {"ask": "roi", "proposal": 0}, {"ask": "draw"}, {"ask": i}][i % 5]
        answers.append((question["ask"], *post(running, question)))

    post(running, LOOK)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 60
    told = [(kind, unpack(message)[0]) for kind, status, message in answers if status == 200]
    assert len(told) == 60
    assert all("presets" in answer for kind, answer in told if kind == "hello")     # none of these is superseded
    assert all("scene" in answer for kind, answer in told if kind == "draw")
    looks = [answer for kind, answer in told if kind == "look"]
    assert any("detections" in answer for answer in looks)
    assert all("detections" in answer or answer == {"superseded": True} for answer in looks)


def test_more_connections_than_there_is_room_for_are_turned_away_and_room_comes_again(running):
    held = [socket.create_connection(running.server_address, timeout=PATIENCE) for _ in range(server.MOST_CONNECTIONS)]
    try:
        time.sleep(0.3)
        assert raw(running, end=False) == b""
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            assert post(running, {"ask": "hello"})[0] == 200
            break
        except (http.client.HTTPException, OSError):
            time.sleep(0.05)


class Slow:
    """Stands in for the explorer: notes what it is asked, and answers when it is told to, one at a time."""

    def __init__(self):
        self.asked, self.go, self.is_busy = [], threading.Semaphore(0), False

    def answer(self, request, blob=b""):
        assert not self.is_busy
        self.is_busy = True
        self.asked.append(request["number"])
        assert self.go.acquire(timeout=PATIENCE)
        self.is_busy = False
        if request.get("fails"):
            raise RuntimeError
        return {"number": request["number"]}, {}


class Counted:
    """A lock that counts who has come."""

    def __init__(self, lock):
        self.lock, self.come = lock, 0

    def __enter__(self):
        self.come += 1
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def queued(desk, requests):
    """Ask one after the other, each in a thread of its own; return the answers, which fill up, and the threads."""
    answers, threads = {}, []
    desk._turn = Counted(desk._turn)

    def ask_one(request):
        try:
            answers[request["number"]] = unpack(desk.ask(request))[0]
        except RuntimeError:
            answers[request["number"]] = "failed"

    for request in requests:
        threads.append(threading.Thread(target=ask_one, args=(request,)))
        threads[-1].start()
        deadline = time.monotonic() + PATIENCE
        while desk._turn.come < len(threads) and time.monotonic() < deadline:
            time.sleep(0.001)
    return answers, threads


def test_of_the_looks_that_wait_only_the_newest_is_computed():
    slow = Slow()
    desk = Desk(slow)
    answers, threads = queued(desk, [{"ask": "look", "number": number} for number in range(5)])
    for _ in range(2):
        slow.go.release()
    for thread in threads:
        thread.join(PATIENCE)
    assert slow.asked == [0, 4]
    assert answers == {0: {"number": 0}, **{number: {"superseded": True} for number in (1, 2, 3)}, 4: {"number": 4}}


def test_of_questions_of_other_kinds_none_is_lost():
    slow = Slow()
    desk = Desk(slow)
    kinds = ["train", "look", "train", "roi", "look", "train", "roi"]
    requests = [{"ask": kind, "number": number, "fails": number == 2} for number, kind in enumerate(kinds)]
    answers, threads = queued(desk, requests)
    for _ in kinds:
        slow.go.release()
    for thread in threads:
        thread.join(PATIENCE)
    # the older look and roi are not computed, and what fails stops nobody
    assert slow.asked[0] == 0 and sorted(slow.asked) == [0, 2, 4, 5, 6]
    assert answers == {0: {"number": 0}, 1: {"superseded": True}, 2: "failed", 3: {"superseded": True},
                       4: {"number": 4}, 5: {"number": 5}, 6: {"number": 6}}


def test_a_fault_of_ours_is_told_and_the_next_question_answered(running, monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("deep inside")
    with monkeypatch.context() as patch:
        patch.setattr(running.desk.explorer, "answer", fail)
        status, message = post(running, LOOK)
    assert status == 500 and unpack(message)[0] == {"error": "this should not have happened: ZeroDivisionError"}
    assert "deep inside" in capsys.readouterr().err


# ---- the command ----


def test_a_port_that_is_taken_is_one_line(running, capsys):
    port = running.server_address[1]
    with pytest.raises(InputError, match=f"port {port} cannot be used .*in use"):
        Server(Explorer(), port)
    for arguments, said in ((["--port", str(port)], f"--port {port} cannot be used"),
                            (["--port", "70000"], "--port must be"), (["--weights", "none.npz"], "no such file"),
                            (["--weights", __file__], "test_server.py: ")):
        assert cli.main(["explore", "--no-open", *arguments]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 1 and said in errors[0]


def test_the_command_prints_the_address_serves_and_ends_quietly(heeds_interrupts):
    root = Path(npmaskrcnn.__file__).parents[1]
    weights = root / "data" / "tiny-step-400.npz"
    command = [sys.executable, "-m", "npmaskrcnn", "explore", "--no-open", "--weights", str(weights)]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = process.stdout.readline(), process.stdout.readline()
        host, token = lines[0].split()[-1].removeprefix("http://").strip("/").split("/")
        connection = http.client.HTTPConnection(host, timeout=PATIENCE)
        connection.request("POST", f"/{token}/api", json.dumps({"ask": "hello"}), {"Origin": f"http://{host}"})
        answer, _ = unpack(connection.getresponse().read())
        assert answer["models"][-1] == {"name": "own", "label": "tiny-step-400.npz", "task": "own",
                                        "note": ""}
        process.send_signal(signal.SIGINT)      # while the connection is open
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert lines[1] == "Ctrl-C ends it\n" and output == ""
    assert process.returncode == 130 and errors == "npmaskrcnn explore: interrupted\n"


def test_a_browser_is_opened_where_there_is_a_screen_and_nobody_forbids_it(monkeypatch):
    from npmaskrcnn.commands import explore
    opened, cores = [], []
    monkeypatch.setattr(explore, "limit_threads", cores.append)
    monkeypatch.setattr(explore.webbrowser, "open", opened.append)
    monkeypatch.setattr(Server, "serve_forever", lambda self: [time.sleep(0.05) for _ in range(20) if not opened])
    monkeypatch.setattr(explore, "can_show_windows", lambda: True)
    assert cli.main(["explore", "--no-open"]) == 0 and opened == []
    assert cli.main(["explore"]) == 0 and len(opened) == 1 and opened[0].startswith("http://127.0.0.1:")
    assert cores == [1, 1]      # the browser has the others
    monkeypatch.undo()
    monkeypatch.setattr(explore.sys, "platform", "linux")
    for variables, shown in (({}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "wayland-0"}, True)):
        monkeypatch.setattr(explore.os, "environ", variables)
        assert explore.can_show_windows() == shown


def test_what_is_packed_by_the_desk_is_what_the_explorer_says():
    explorer = Explorer()
    assert Desk(explorer).ask({"ask": "draw", "seed": 3}) == pack(*explorer.answer({"ask": "draw", "seed": 3}))
