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

"""A Swift whose proxies differ in their filters."""

import http.client
import json
import pathlib
import time
import urllib.parse

from ai_factory_plugins.testing import signing
from benchmarks.swift import layouts
from benchmarks.swift import loads
from cloud import errors
from cloud.services import swift as swift_module

ACCOUNT, USER = 'test', 'tester'
STOCK, BATCH, CACHED = 'stock', 'batch', 'cached'
_SEGMENTS = f'{layouts.CONTAINER}+segments'
_SECONDS_TO_BE_READY = 30
_BATCH = '?batch-read=1'
# Of the object servers: what is read stays in the page cache, as it does for
# batches, and as it does not with Swift's defaults.
KEPT = {'keep_cache_private': 'true', 'keep_cache_size': 2 ** 40}
# Of the proxies: memcached may answer late on a busy machine, and a token of
# which it does not tell in time is refused.
PATIENT = {'conn_timeout': 5, 'pool_timeout': 5, 'io_timeout': 10}
_LONG = 30  # seconds; an age that no object has while it is measured


class Swift:
    """One Swift: three object servers, a proxy for each way of reading.

    All have ``s3api`` and tempauth; ``batch`` has our filters for batches
    besides, and ``cached`` has ``block_cache``. Each server is one process.

    :param root: directory for all that it writes
    :param port: the first of its ports
    :param replicas: of each object
    :param max_age: option of ``block_cache``, in seconds
    """

    NAME = 'swift'
    PORTS = 9

    def __init__(self, root, port, replicas, max_age):
        self._max_age = max_age
        self._swift = swift_module.Swift(
            pathlib.Path(root) / f'swift-{replicas}', port,
            swift_module.Settings(
                proxies={STOCK: '', BATCH: '', CACHED: 'block_cache'},
                stock=(STOCK, CACHED), s3api={}, replicas=replicas,
                block_caches={'block_cache': {
                    'ram_bytes': 1536 * layouts.MIB, 'max_age': max_age}},
                object_server=KEPT, memcache=PATIENT))
        self._written, self._warm = set(), set()

    def up(self):
        """Start it.

        :raises CloudError: it does not start, or cannot be written to
        """
        self._swift.destroy()
        self._swift.up()
        url, self._token = self._swift.login(ACCOUNT, USER, STOCK)
        self._path = urllib.parse.urlsplit(url).path
        for name in (layouts.CONTAINER, _SEGMENTS):
            self._put(name)

    def down(self):
        """Stop it, and delete what it has written."""
        self._swift.destroy()

    def leaders(self, way):
        """Its process groups, by role."""
        names = {'front': [way.proxy], 'other': ['memcached', 'account',
                                                 'container']}
        names['back'] = [self._swift.object_server(number) for number
                         in range(self._swift.settings.object_servers)]
        return {role: [self._swift.pid(name) for name in some]
                for role, some in names.items()}

    def write(self, layout):
        """Write the objects of a layout, if they are not there."""
        if layout in self._written:
            return
        for name in layout.names:
            body = layouts.body(name, layout.size)
            if layout.segment is None:
                self._put(f'{layouts.CONTAINER}/{name}', body)
            else:
                self._put_segments(name, body, layout.segment)
        self._written.add(layout)

    def _put_segments(self, name, body, size):
        manifest = []
        for first in range(0, len(body), size):
            path = f'{_SEGMENTS}/{name}/{first:012}'
            self._put(path, body[first:first + size])
            manifest.append({'path': f'/{path}'})
        self._put(f'{layouts.CONTAINER}/{name}?multipart-manifest=put',
                  json.dumps(manifest).encode())

    def _put(self, target, body=b''):
        """Write one, as soon as all servers are ready for it."""
        deadline = time.monotonic() + _SECONDS_TO_BE_READY
        while True:
            status = self._request('PUT', STOCK, target, body)
            if status in (201, 202):
                return
            if time.monotonic() > deadline:
                raise errors.CloudError(f'PUT {target}: {status}')
            time.sleep(0.3)

    def _request(self, method, proxy, target, body=b'', headers=()):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._swift.port(proxy), timeout=60)
        try:
            connection.request(method, f'{self._path}/{target}', body, {
                'X-Auth-Token': self._token, **dict(headers)})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def files(self, layout):
        """The files that have data, of all layouts."""
        devices = self._swift.layout.root / 'devices'
        return list(devices.glob('object-*/*/objects*/**/*.data'))

    def forget(self, way):
        """Empty the cache of a proxy, if it has one."""
        if way.proxy == CACHED:
            self._swift.stop(CACHED)
            self._swift.start(CACHED)
            self._warm.clear()
            deadline = time.monotonic() + _SECONDS_TO_BE_READY
            while self._request('HEAD', CACHED, layouts.CONTAINER) != 204:
                if time.monotonic() > deadline:
                    raise errors.CloudError('the proxy does not come back')
                time.sleep(0.1)

    def warm(self, layout, way):
        """Have all of a layout in the cache of a proxy, if it has one."""
        if way.proxy != CACHED or layout in self._warm:
            return
        for name in layout.names:
            for first in range(0, layout.size, layouts.MIB):
                status = self._request(
                    'GET', CACHED, f'{layouts.CONTAINER}/{name}', headers={
                        'Range': f'bytes={first}-{first + layouts.MIB - 1}'})
                if status != 206:
                    raise errors.CloudError(f'GET {name}: {status}')
        self._warm.add(layout)

    def lead(self, layout, way):
        """Seconds after which it is as it will stay.

        Swift is asked about each object that is older than ``max_age``: now
        and then of many, and not of all at once.
        """
        is_aging = (way.proxy == CACHED and layout.kind == 'many'
                    and self._max_age <= _LONG)
        return max(self._max_age, 0.5) if is_aging else 0.5

    def target(self, layout, way):
        """Where a way finds the objects of a layout."""
        port = self._swift.port(way.proxy)
        if way.api == 'native':
            base, headers = self._path, {'X-Auth-Token': self._token}
        else:
            base, headers = '', {}
        container = f'{base}/{layouts.CONTAINER}'
        if way.batch:
            path = container + _BATCH
            if way.api == 'S3':
                path = self._signed(port, container, 'POST', _BATCH)
            return loads.Target(port, {None: path}, headers)
        paths = {name: f'{container}/{name}' for name in layout.names}
        if way.api == 'S3':
            paths = {name: self._signed(port, path)
                     for name, path in paths.items()}
        return loads.Target(port, paths, headers)

    @staticmethod
    def _signed(port, path, method='GET', query=''):
        return signing.presign(
            f'127.0.0.1:{port}', path, f'{ACCOUNT}:{USER}',
            swift_module.USERS[ACCOUNT, USER][0], method, query=query)
