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

"""Requests that are refused as a whole, and servers that survive them."""

import contextlib
import json
import os
import re
import socket
import time

import pytest

from ai_factory_plugins.dataset import entries
from tests.swift import api
from tests.swift import conftest

GOOD = b'{"object":"o","ranges":[[0,4]]}\n'


@pytest.fixture(autouse=True)
def alive(swift, tester, container):
    """After each test the same processes answer."""
    tester.put(f'/{container}/o', b'0123456789')
    names = swift.names()
    before = {name: swift.pid(name) for name in names}
    yield
    assert {name: swift.pid(name) for name in names} == before
    got, = tester.batch([{'object': 'o', 'ranges': [[0, 4]]}], container)
    assert got.data == [b'01234']


@pytest.mark.parametrize('body', [
    b'', b'\n', b'\n\n' + GOOD, b'hello', b'[]', b'5\n', b'null', b'{',
    b'"object"', GOOD + b'x', b'{"object":"\xff"}\n', b'\xef\xbb\xbf' + GOOD,
    '{"object":"o"}\n'.encode('utf-16'), b'{"object":NaN}',
    b'[' * 60000, b'{"a":' * 12000, b'{"object":' + b'9' * 5000 + b'}',
    b'\0' * 1000], ids=lambda body: re.sub(r'[^!-Z]+', '_', repr(body))[:24])
def test_malformed(tester, container, body):
    response = tester.post_batch(body, container)
    assert response.status == 400
    assert response.body


@pytest.mark.parametrize('body, status', [
    (GOOD * 10001, 413), (b'{}\n' * 1000000, 413), (b'\n' * 4000000, 413),
    (b'{"object":"' + b'x' * 70000 + b'"}', 413),
    ((json.dumps({'object': 'o', 'ranges': [[0, 0]] * 1000}) + '\n').encode()
     * 21, 413)], ids=range(5))
def test_too_much(tester, container, body, status):
    response = tester.post_batch(body, container)
    assert response.status == status


def test_ten_million_entries(tester, container):
    """They are refused by their length alone."""
    response = tester.request(
        'POST', f'/{container}', None, '?batch-read=1',
        Content_Length=str(len(GOOD) * 10000000))
    assert response.status == 413


def test_chunked(tester, container):
    connection = tester.connect()
    path = f'{tester.account}/{container}?batch-read=1'
    fields = {'X-Auth-Token': tester.token}
    connection.request('POST', path, iter([GOOD, GOOD]), fields,
                       encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 200
    assert len(api.decode(response.read(), 2)) == 2
    connection.close()


def padded(size):
    """Few entries in so many bytes."""
    line = GOOD[:-1].ljust(entries.MAX_LINE) + b'\n'
    body = line * (size // len(line))
    return body + GOOD[:-1].ljust(size - len(body))


@pytest.mark.parametrize('chunked', [False, True])
def test_bytes_of_the_body(tester, container, chunked):
    """One too many is refused, however the client sends them."""
    limit = tester.swift.info()['batch_read']['max_body']
    path = f'{tester.account}/{container}?batch-read=1'
    for size, status in ((limit, 200), (limit + 1, 413)):
        body = padded(size)
        assert len(body) == size
        connection = tester.connect()
        connection.request(
            'POST', path, iter([body]) if chunked else body,
            {'X-Auth-Token': tester.token}, encode_chunked=chunked)
        response = connection.getresponse()
        assert response.status == status
        if status == 200:
            assert len(api.decode(response.read(), body.count(b'"o"')))
        else:
            assert response.read() == b'more than %d bytes' % limit
        connection.close()


def test_batches_are_counted(tester, container):
    """Those that are over do not count, whatever became of them."""
    for number in range(70):
        assert tester.batch([{'object': 'o'}], container)
        assert tester.post_batch(b'', container).status == 400


def test_too_many_bytes(tester, container):
    body = os.urandom(32 * 1024 * 1024)
    tester.put(f'/{container}/large', body)
    small = {'object': 'o', 'ranges': [[0, 4]]}
    found = tester.batch(
        [small] + [{'object': 'large'}] * 4 + [small], container)
    assert [got.status for got in found] == [206, 200, 200, 200, 413, 413]
    assert all(got.data == [body] for got in found[1:4])


def test_as_many_bytes_as_a_batch_may_have(tester, container):
    tester.put(f'/{container}/large', bytes(conftest.MAX_BYTES // 4))
    whole, byte = {'object': 'large'}, {'object': 'o', 'ranges': [[0, 0]]}
    assert [got.status for got in tester.batch(
        [whole] * 4 + [byte], container)] == [200] * 4 + [413]


def test_too_many_batches(tester, container):
    tester.put(f'/{container}/large', bytes(16 * 1024 * 1024))
    with contextlib.ExitStack() as stack:
        for _ in range(conftest.MAX_BATCHES):
            connection = tester.connect()
            stack.callback(connection.close)
            connection.request(
                'POST', f'{tester.account}/{container}?batch-read=1',
                b'{"object":"large"}', {'X-Auth-Token': tester.token})
            assert connection.getresponse().status == 200
        response = tester.post_batch(GOOD, container)
        assert response.status == 503
        assert response.headers['retry-after']
    deadline = time.monotonic() + 10
    while tester.post_batch(GOOD, container).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_entries(tester, container):
    wanted = [{'object': 'o', 'ranges': [[n % 10, n % 10]]}
              for n in range(10000)]
    found = tester.batch(wanted, container)
    assert [got.data for got in found] == [
        [b'%d' % (n % 10)] for n in range(10000)]


@pytest.mark.parametrize('query', [
    '?batch-read', '?batch-read=', '?batch-read=2', '?batch-read=1x'])
def test_unknown_versions(tester, container, query):
    response = tester.request('POST', f'/{container}', GOOD, query)
    assert response.status == 400


def test_not_to_objects(tester, container):
    response = tester.request(
        'POST', f'/{container}/o', GOOD, '?batch-read=1')
    assert response.status == 400


def test_other_requests_go_through(tester, container):
    assert tester.request('GET', f'/{container}').body == b'o\n'
    for method, status in (('HEAD', 204), ('GET', 200)):
        assert tester.request(
            method, f'/{container}', query='?batch-read=1').status == status
    assert tester.request(
        'POST', f'/{container}', X_Container_Meta_Color='red').status == 204


def test_encoded(tester, container):
    response = tester.post_batch(GOOD, container, Content_Encoding='gzip')
    assert response.status == 415


def test_cut_short(swift, tester, container):
    with socket.create_connection(
            ('127.0.0.1', swift.port('proxy')), timeout=30) as client:
        client.sendall(
            f'POST {tester.account}/{container}?batch-read=1 HTTP/1.1\r\n'
            f'Host: x\r\nX-Auth-Token: {tester.token}\r\n'
            'Content-Length: 1000\r\n\r\n'.encode() + GOOD)
        client.shutdown(socket.SHUT_WR)
        assert b' 499 ' in client.recv(1000).split(b'\r\n')[0]


def test_limits_are_told(swift):
    assert swift.info()['batch_read'] == {
        'version': 1, 'max_entries': 10000, 'max_ranges': 20000,
        'max_body': 4194304, 'max_bytes': conftest.MAX_BYTES,
        'max_get_ranges': 50,
        'formats': ['frames', 'tar', 'multipart', 'byteranges']}


@pytest.mark.parametrize('body', [
    b'', b'x', b'[]', b'{}', b'[' * 100000, b'{"version":2}',
    b'{"version":1,"targets":[],"reads":[[0,0,[],null]]}',
    b'{"version":1,"targets":[["../..",1,0,"a","c","o"]],"reads":[[0,0,[],1]]}'
], ids=range(8))
def test_object_server_refuses_malformed_requests(swift, tester, body):
    connection = tester.connect()
    connection.port = swift.port('object-0')
    connection.request('READV', '/batch-read', body)
    assert connection.getresponse().status == 400
    connection.close()


def test_object_server_reads_nothing_outside_its_devices(swift, tester):
    connection = tester.connect()
    connection.port = swift.port('object-0')
    for device in ('..', '.', '../object-1/d0', 'd0/..', 'none'):
        connection.request('READV', '/batch-read', json.dumps({
            'version': 1, 'targets': [[device, 1, 0, 'a', 'c', 'o']],
            'reads': [[0, 0, [], None]]}))
        response = connection.getresponse()
        assert response.status == 200
        got, = api.decode(response.read(), 1)
        assert got.status in (400, 404, 507)
    connection.close()
