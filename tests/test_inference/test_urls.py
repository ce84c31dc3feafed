# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files from a server on this machine: whole or not at all."""

import http.server
import threading

import pytest

from smallobj_mm.inference.urls import fetch, file_name, is_url


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith('/gone'):
            self.send_error(404)
            return
        declared = {'/cut.png': 50, '/huge.png': 10**12}.get(self.path, 10)
        self.send_response(200)
        if self.path != '/endless.png':
            self.send_header('Content-Length', str(declared))
        self.end_headers()
        self.wfile.write(b'0123456789' * (1 if self.path != '/endless.png' else 100))

    def log_message(self, *_):
        pass


@pytest.fixture(scope='module')
def server():
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{running.server_address[1]}'
        running.shutdown()
        thread.join()


def test_a_file_comes_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    path = fetch(f'{server}/a%20b/frame.png?x=1', tmp_path)
    assert path.read_bytes() == b'0123456789' and path.name.endswith('_frame.png')
    path.write_bytes(b'mine')
    assert fetch(f'{server}/a%20b/frame.png?x=1', tmp_path).read_bytes() == b'mine'


@pytest.mark.parametrize(
    ('name', 'words'),
    [('gone.png', '404 Not Found'), ('cut.png', '10 of 50 bytes'),
     ('huge.png', '1000000000000 bytes or more, expected at most 100'),
     ('endless.png', 'expected at most 100')],
)  # fmt: skip
def test_what_does_not_come_whole_leaves_nothing(server, tmp_path, monkeypatch, name, words):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with pytest.raises(ValueError, match=words) as caught:
        fetch(f'{server}/{name}', tmp_path, most_bytes=100)
    assert str(caught.value).startswith(f'{server}/{name}: ')
    assert not list(tmp_path.iterdir())


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    with pytest.raises(ValueError, match='cannot be fetched'):
        fetch('http://127.0.0.1:9/a.png', tmp_path)


@pytest.mark.parametrize('url', ['http://x/../../etc/passwd', 'http://x/', 'https://x/%2e%2e%2fa',
                                 'http://x/' + 'n' * 500 + '.png'])  # fmt: skip
def test_names_stay_in_the_folder(url):
    name = file_name(url)
    assert '/' not in name and not name.startswith('.') and len(name) < 100
    assert is_url(url) and not is_url('ftp://x') and not is_url('a.png') and not is_url(3)


def test_what_is_no_ascii_is_sent_in_percent_encoding(server, tmp_path, monkeypatch):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    asked = []
    monkeypatch.setattr(Handler, 'log_message', lambda self, *_: asked.append(self.path))
    for address in ('Bär a%20b.png?x=ü&y=%2F', 'plain.png?a=b+c'):
        assert fetch(f'{server}/{address}', tmp_path).read_bytes() == b'0123456789'
    assert asked == ['/B%C3%A4r%20a%20b.png?x=%C3%BC&y=%2F', '/plain.png?a=b+c']


@pytest.mark.parametrize('url', ['http://[bad/x.png', 'http://x:port/a.png', 'http://x/\udcff.png'])
def test_what_is_no_address_is_one_line(url, tmp_path):
    with pytest.raises(ValueError, match='cannot be fetched .*; check the address') as caught:
        fetch(url, tmp_path)
    assert type(caught.value).__name__ == 'UserError'
