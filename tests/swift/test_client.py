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

"""The client of the package, on real servers and through bad networks."""

import hashlib
import hmac
import os
import socket
import threading
import time

import pytest

from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import connection
from tests.swift import api
from tests.swift import conftest
from tests.swift import logs

Item = client.Item


class BadNetwork:
    """A TCP relay to a port that cuts connections.

    :param port: where to
    :param cuts: list of how many bytes of answers each connection in turn
        may carry; later ones carry all
    """

    def __init__(self, port, cuts):
        self.cuts = list(cuts)
        self.connections = 0
        #: called before the second connection is made
        self.reconnecting = lambda: None
        self._port = port
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections == 2:
                self.reconnecting()
            limit = self.cuts.pop(0) if self.cuts else None
            far = socket.create_connection(('127.0.0.1', self._port))
            for source, target, count in (
                    (near, far, None), (far, near, limit)):
                threading.Thread(target=self._relay, daemon=True, args=(
                    source, target, count)).start()

    @staticmethod
    def _relay(source, target, left):
        try:
            while left is None or left > 0:
                data = source.recv(65536 if left is None
                                   else min(left, 65536))
                if not data:
                    break
                left = None if left is None else left - len(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()


@pytest.fixture
def network(swift):
    made = []

    def make(*cuts):
        made.append(BadNetwork(swift.port('proxy'), cuts))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def blobs(tester, container):
    found = {f'o{n}': os.urandom(300000 + n) for n in range(8)}
    for name, body in found.items():
        tester.put(f'/{container}/{name}', body)
    return found


def wanted(blobs, count=100):
    names = list(blobs)
    return [Item(names[n % len(names)], [(n * 1000, n * 1000 + 29999)])
            for n in range(count)]


def check(blobs, items, results):
    results = list(results)
    assert [result.item.object for result in results] == [
        item.object for item in items]
    for item, result in zip(items, results):
        (first, last), = item.ranges
        result.check()
        assert result.data == [blobs[item.object][first:last + 1]]
        assert result.size == len(blobs[item.object])


@pytest.mark.parametrize('proxy', ['proxy', conftest.STOCK])
def test_reads(swift, tester, container, blobs, proxy):
    reader = client.BatchReader(
        swift.url(proxy) + tester.account, tester.token, batch=32)
    assert bool(reader.limits()) == (proxy == 'proxy')
    items = wanted(blobs)
    check(blobs, items, reader.read(iter(items), container))
    results = list(reader.read([
        Item('o0'), Item('none'), Item('o1', etag='0' * 32),
        Item('o1', [(0, 4), (None, 5), (299990, None)]),
        Item('o1', [(400000, None)]), Item('o2', [(5, 5)], container),
    ], container))
    assert [result.status for result in results] == [
        200, 404, 412, 206, 416, 206]
    assert results[0].data == [blobs['o0']]
    assert results[3].data == [
        blobs['o1'][:5], blobs['o1'][-5:], blobs['o1'][299990:]]
    assert results[5].data == [blobs['o2'][5:6]]
    with pytest.raises(connection.ServerError):
        results[1].check()


@pytest.mark.parametrize('proxy', ['proxy', conftest.STOCK])
def test_strange_names(swift, tester, container, proxy):
    reader = client.BatchReader(
        swift.url(proxy) + tester.account, tester.token)
    names = ['a b', 'ü/名?x=1', 'a%2Fb', '..', '#', '"']
    for name in names:
        tester.put(f'/{container}/{name}', name.encode())
    results = reader.read([Item(name) for name in names], container)
    assert [result.data for result in results] == [
        [name.encode()] for name in names]


@pytest.mark.parametrize('cuts', [
    (300, 400, 500), (2000, 50000), (100000, 200000, 300000, 400000),
    (1000, 1000000)])
def test_cut_connections(tester, container, blobs, network, cuts):
    bad = network(*cuts)
    reader = client.BatchReader(
        f'http://127.0.0.1:{bad.port}{tester.account}', tester.token,
        attempts=5)
    items = wanted(blobs)
    check(blobs, items, reader.read(items, container))
    assert bad.connections > len(cuts)


def test_cut_headers(swift, tester, container, blobs, network):
    """Of the answer to the batch, which follows that to /info."""
    with socket.create_connection(('127.0.0.1', swift.port('proxy'))) as peer:
        peer.sendall(b'GET /info HTTP/1.0\r\nHost: proxy\r\n\r\n')
        before = len(b''.join(iter(lambda: peer.recv(65536), b'')))
    items = wanted(blobs, 3)
    for cut in range(before - 40, before + 260, 15):
        reader = client.BatchReader(
            f'http://127.0.0.1:{network(cut).port}{tester.account}',
            tester.token, attempts=3)
        check(blobs, items, reader.read(items, container))


def test_a_large_object_is_resumed(tester, container, network):
    """Not read anew: no connection carries all of it."""
    body = os.urandom(9000000)
    tester.put(f'/{container}/large', body)
    bad = network(*[2500000] * 20)
    reader = client.BatchReader(
        f'http://127.0.0.1:{bad.port}{tester.account}', tester.token)
    result, = reader.read([Item('large')], container)
    assert result.data == [body]
    assert bad.connections < 8


def test_an_object_that_changes_before_it_is_resumed(
        tester, container, network):
    """It is read anew, not put together of two versions."""
    old, new = os.urandom(9000000), os.urandom(9000000)
    tester.put(f'/{container}/large', old)
    bad = network(2500000)
    bad.reconnecting = lambda: tester.put(f'/{container}/large', new)
    reader = client.BatchReader(
        f'http://127.0.0.1:{bad.port}{tester.account}', tester.token)
    result, = reader.read([Item('large')], container)
    assert result.data == [new]


def test_no_server(tester, container, network):
    bad = network(*[0] * 50)
    reader = client.BatchReader(
        f'http://127.0.0.1:{bad.port}{tester.account}', tester.token,
        attempts=2)
    with pytest.raises(connection.FAILURES):
        list(reader.read([Item('o')], container))


def test_tokens_are_renewed(swift, tester, container, blobs):
    tokens = ['AUTH_tkexpired', tester.token]
    reader = client.BatchReader(tester.url, lambda: tokens.pop(0))
    items = wanted(blobs, 5)
    check(blobs, items, reader.read(items, container))
    assert not tokens


def test_refused(swift, tester, container, blobs):
    stranger = api.Api(swift, 'other', 'stranger')
    reader = client.BatchReader(tester.url, stranger.token)
    with pytest.raises(connection.ServerError) as caught:
        list(reader.read([Item('o0')], container))
    assert caught.value.status == 403


def test_reading_stops_early(tester, container, blobs):
    reader = client.BatchReader(tester.url, tester.token)
    items = wanted(blobs)
    for _ in range(3):
        for result in reader.read(items, container):
            break
    check(blobs, items, reader.read(items, container))


def test_more_than_the_limits(swift, tester, container, blobs):
    reader = client.BatchReader(tester.url, tester.token, batch=30000)
    items = [Item('o0', [(n, n)] * 3) for n in range(12000)]
    results = list(reader.read(items, container))
    assert [result.data for result in results] == [
        [blobs['o0'][n:n + 1]] * 3 for n in range(12000)]


def test_more_bytes_than_a_batch_has(swift, tester, container):
    body = os.urandom(30 * 1024 * 1024)
    tester.put(f'/{container}/large', body)
    reader = client.BatchReader(tester.url, tester.token)
    batches = logs.Batches(swift)
    results = reader.read([Item('large')] * 8, container)
    assert [result.data == [body] for result in results] == [True] * 8
    # Three of them fit into a batch; none is read by itself.
    assert batches.count == 3


def test_temporary_urls(swift, tester, container, blobs):
    """They read what is below their prefix, without a token."""
    tester.put(f'/{container}/other', b'other')
    response = tester.request(
        'POST', X_Account_Meta_Temp_URL_Key='secret')
    assert response.status == 204
    expires = int(time.time()) + 600
    signature = hmac.new(
        b'secret', f'GET\n{expires}\nprefix:{tester.account}/{container}/o'
        .encode(), hashlib.sha256).hexdigest()
    query = (f'temp_url_sig={signature}&temp_url_expires={expires}'
             '&temp_url_prefix=o')
    reader = client.BatchReader(f'{tester.url}?{query}')
    assert reader.limits() == {}
    items = wanted(blobs, 20)
    check(blobs, items, reader.read(items, container))
    reader = client.BatchReader(f'{tester.url}?{query.replace("=o", "=x")}')
    assert [result.status for result in reader.read(items[:2], container)
            ] == [401, 401]


def test_queries_that_are_none_of_a_temporary_url(swift, tester):
    for query in ('format=json', 'temp_url_sig'):
        with pytest.raises(ValueError, match='temporary URL'):
            client.BatchReader(f'{tester.url}?{query}')
