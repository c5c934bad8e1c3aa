"""Nothing here opens a browser: the call is replaced."""

import threading
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kanzoo import browser


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: urls.append(url) is None)
    return urls


def test_an_address_is_opened_once_its_server_answers(opened: list[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Hello, bind_and_activate=False) as server:
        server.server_bind()  # known, and refusing
        url = f"http://127.0.0.1:{server.server_port}/#/experiments/1"
        assert not browser.open_when_up(url, 0.3)
        assert opened == []
        server.server_activate()
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert browser.open_when_up(url, 30)
        thread.join()
    assert opened == [url]


@pytest.mark.parametrize(
    ("tty", "variables", "screen"),
    [(True, {"DISPLAY": ":0"}, True), (True, {"WAYLAND_DISPLAY": "w"}, True), (True, {}, False), (False, {"DISPLAY": ":0"}, False)],
)
def test_a_screen_is_a_terminal_with_a_display(monkeypatch: pytest.MonkeyPatch, tty: bool, variables: dict[str, str], screen: bool) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout.isatty", lambda: tty, raising=False)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert browser.has_screen() is screen
