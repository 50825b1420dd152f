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
"""A Swift with block caches in its proxies, and what the tests do with it."""

import http.client
import itertools
import pathlib
import re
import socket
import time

from ai_factory_plugins.testing import signing
from cloud.services import swift as swift_module
from tests.swift import api

STATE = pathlib.Path(__file__).parents[2] / '.cloud-swift-cache'
BASE_PORT = 22700
BLOCK = 64 * 1024
MAX_AGE = 2
MAX_READ = 1024 * 1024
STOCK, CACHED, SECOND, DISK = 'proxy', 'cached', 'second', 'disk'
LEFT_OF_CRYPTO, RIGHT_OF_CRYPTO = 'left-of-crypto', 'right-of-crypto'
TRUSTING, SMALL, S3_ACL = 'trusting', 'small', 's3-acl'
WITH_BATCHES = 'with-batches'
OPTIONS = {'block_size': BLOCK, 'max_age': MAX_AGE, 'max_read': MAX_READ,
           'readahead': 0, 'debug_header': 'true'}
_numbers = itertools.count()


def make():
    """The Swift, not running."""
    proxies = {
        STOCK: '', CACHED: 'block_cache', SECOND: 'block_cache-second',
        DISK: 'block_cache-disk', TRUSTING: 'block_cache-trusting',
        SMALL: 'block_cache-small', S3_ACL: 'block_cache',
        WITH_BATCHES: 'block_cache',
        LEFT_OF_CRYPTO: 'block_cache-disk keymaster encryption',
        RIGHT_OF_CRYPTO: 'keymaster encryption block_cache-disk'}
    return swift_module.Swift(STATE, BASE_PORT, swift_module.Settings(
        proxies=proxies, s3api={}, s3_acl=(S3_ACL,),
        stock=tuple(name for name in proxies if name != WITH_BATCHES),
        ec=True,
        block_caches={
            'block_cache': OPTIONS,
            # That one believes for long, unless it is told.
            'block_cache-second': {**OPTIONS, 'max_age': 3600},
            'block_cache-disk': {
                **OPTIONS, 'ram_bytes': 2 ** 20, 'disk_bytes': 2 ** 24,
                'disk_path': STATE.absolute() / 'blocks'},
            'block_cache-trusting': {
                **OPTIONS, 'without_memcached': 'max_age', 'max_age': 3600},
            'block_cache-small': {
                **OPTIONS, 'ram_bytes': 2 ** 23, 'max_pending': 2 ** 21,
                'readahead': 2 ** 18},
        }, memcache={'error_suppression_interval': 1},
        proxy={'node_timeout': 10, 'conn_timeout': 5,
               'error_suppression_interval': 1}))


def up(swift):
    """Start it, and wait until all of it works.

    That something listens on a port is not enough: Swift binds its sockets
    before it reads its configuration.
    """
    swift.up()
    for name in swift.settings.proxies:
        until(lambda: _is_healthy(swift, name))
    owner = api.Api(swift)
    until(lambda: owner.request('POST').status == 204)
    until(lambda: owner.request('PUT', '/up').status in (201, 202))
    for number in range(50):
        until(lambda: owner.request('PUT', f'/up/{number}').status == 201)
        until(lambda: owner.get(f'/up/{number}').status == 200)


def restart(swift, name):
    """Stop a proxy and start it."""
    swift.stop(name)
    swift.start(name)
    until(lambda: _is_healthy(swift, name))


def until(condition, seconds=60):
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_healthy(swift, name):
    connection = http.client.HTTPConnection(
        '127.0.0.1', swift.port(name), timeout=10)
    try:
        connection.request('GET', '/healthcheck')
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def new_container(owner):
    """Name of a new container."""
    name = f'c{next(_numbers)}'
    owner.put(f'/{name}')
    return name


def s3(swift, path, proxy=CACHED, method='GET', body=None, user='tester',
       account='test', **headers):
    """A signed request of S3.

    :returns: an :class:`api.Response`
    """
    connection = http.client.HTTPConnection(
        '127.0.0.1', swift.port(proxy), timeout=60)
    try:
        connection.request(method, signing.presign(
            f'127.0.0.1:{swift.port(proxy)}', path, f'{account}:{user}',
            swift_module.USERS[account, user][0], method), body,
            {name.replace('_', '-'): value for name, value in headers.items()})
        response = connection.getresponse()
        return api.Response(
            response.status, {name.lower(): value for name, value
                              in response.getheaders()}, response.read())
    finally:
        connection.close()


def begin(user, method, path, body=b'', length=None, buffer=None):
    """Send a request, or the beginning of one, and leave the answer there.

    :param user: an :class:`api.Api`
    :param length: bytes of the body that are announced, where not all come
    :param buffer: bytes of an answer that the system takes before it is read
    :returns: a socket
    """
    sock = socket.create_connection(
        ('127.0.0.1', user.swift.port(user.proxy)))
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.sendall(
        f'{method} {user.account}{path} HTTP/1.1\r\nHost: x\r\n'
        f'X-Auth-Token: {user.token}\r\n'
        f'Content-Length: {length or len(body)}\r\n\r\n'.encode() + body)
    return sock


def reads(swift, path, methods='GET|HEAD', exactly=True):
    """How often the object servers were asked for an object.

    :param path: ``container/object``
    :param exactly: whether to count that path, and not all that begin with it
    """
    line = re.compile(rf'"(?:{methods}) /d\d/\d+/AUTH_test/'
                      + re.escape(path) + ('" ' if exactly else ''))
    count = 0
    # The line comes when the server has sent all.
    time.sleep(0.1)
    for number in range(swift.settings.object_servers):
        log = swift.layout.log(swift.object_server(number))
        count += len(line.findall(log.read_text(errors='replace')))
    return count


def how(response):
    """What the cache says that it has done."""
    return response.headers.get('x-block-cache')


def warm(user, path, body):
    """Have an object in a cache, and see that it is."""
    for _ in range(2):
        assert user.get(path).body == body
    assert how(user.get(path)) == 'hit'


def set_readers(owner, container, value):
    """Set the ACL of a container."""
    response = owner.request(
        'POST', f'/{container}', X_Container_Read=value)
    assert response.status == 204


class Pair:
    """The same user at a stock proxy and at one with a cache."""

    def __init__(self, swift, proxy=CACHED, user='tester', account='test'):
        self.stock = api.Api(swift, account, user, proxy=STOCK)
        self.cached = api.Api(swift, account, user, proxy=proxy)

    def same(self, path, wanted=None, method='GET', query='', **headers):
        """Compare what both say, down to the headers.

        :returns: what the cache says
        """
        if wanted is not None:
            headers['Range'] = wanted
        expected = self.stock.request(method, path, query=query, **headers)
        got = self.cached.request(method, path, query=query, **headers)
        assert got.status == expected.status
        assert _without_boundary(got) == _without_boundary(expected)
        return got


def _without_boundary(response):
    """Headers and body, but for a part that is random."""
    headers, body = plain(response), response.body
    found = re.search(r'boundary=(\w+)', headers.get('content-type', ''))
    if found:
        headers['content-type'] = headers['content-type'].replace(
            found[1], '')
        body = body.replace(found[1].encode(), b'')
    return headers, body


def plain(response):
    """The headers that do not belong to one answer alone."""
    return {name: value for name, value in response.headers.items()
            if name not in ('date', 'x-trans-id', 'x-openstack-request-id',
                            'x-amz-id-2', 'x-amz-request-id',
                            'x-block-cache')}


def memory(swift, name):
    """Bytes of RAM that a process takes."""
    status = pathlib.Path(f'/proc/{swift.pid(name)}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+) kB', status)[1]) * 1024
