# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""HTTP between proxy and object server, with a server that says anything."""

import contextlib
import os
import socket
import threading

import pytest

from ai_factory_plugins.swift import wire

HEAD = (b'HTTP/1.1 200 OK\r\ncontent-type: text/x; charset=a\r\n'
        b'Connection: close\r\n\r\n')


@contextlib.contextmanager
def answering(*pieces, host='127.0.0.1'):
    """A connection to a server that sends pieces and closes.

    :returns: (:class:`~wire.Wire`, function that returns what it was sent)
    """
    listener = socket.create_server(
        (host, 0), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    received = []

    def serve():
        peer = listener.accept()[0]
        with peer:
            received.append(peer.recv(65536))
            for piece in pieces:
                peer.sendall(piece)
    server = threading.Thread(target=serve)
    server.start()
    found = wire.Wire(listener.getsockname()[:2])
    try:
        yield found, lambda: b''.join(received)
    finally:
        found.close()
        found.close()
        server.join()
        listener.close()


def test_a_request():
    with answering(HEAD) as (found, received):
        found.send('READV', '/x', {'X-Trans-Id': 'tx1\r\nX-Evil: 1'}, b'body')
        assert found.begin() == (200, 'text/x')
        head, body = received().split(b'\r\n\r\n')
        assert body == b'body'
        lines = head.split(b'\r\n')
        assert lines[0] == b'READV /x HTTP/1.0'
        assert lines[2:] == [b'X-Trans-Id: tx1X-Evil: 1']


def test_ipv6():
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip('there is no IPv6')
    with answering(HEAD, host='::1') as (found, received):
        found.send('READV', '/x', {}, b'')
        found.begin()
        assert b'\r\nHost: [::1]:' in received()


def test_bytes_as_they_come():
    blob = os.urandom(300000)
    cuts = [0, 1, 10, 5000, 90000, 90001, 250000, 300000]
    pieces = [blob[first:last] for first, last in zip(cuts, cuts[1:])]
    with answering(HEAD[:20], HEAD[20:] + pieces[0], *pieces[1:]) as (
            found, _):
        found.send('READV', '/', {}, b'x')
        found.begin()
        kept = [found.receive(size)
                for size in (16, 0, 100, 70000, 16, 16, 150000, 20000)]
        rest = found.receive(100000)
        assert not found.receive(5)
        # What was received first is still what it was.
        assert b''.join([*kept, rest]) == blob


@pytest.mark.parametrize('head', [
    b'', b'HTTP/1.1 200 OK\r\n', b'nonsense\r\n\r\n', b'HTTP/1.1 2000\r\n\r\n',
    b'HTTP/2 200 OK\r\n\r\n', b'x' * 200000,
    HEAD[:-2] + b'Transfer-Encoding: chunked\r\n\r\n'])
def test_no_answer(head):
    with answering(head) as (found, _):
        found.send('READV', '/', {}, b'x')
        with pytest.raises(wire.WireError):
            found.begin()


def test_no_server():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(OSError):
        wire.Wire(address)
