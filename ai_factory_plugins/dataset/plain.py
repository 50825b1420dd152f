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

"""Ordinary ranged GETs, for clusters and URLs without batches."""

import concurrent.futures
import re

from ai_factory_plugins.dataset import connection
from ai_factory_plugins.dataset import ranges as range_math

_CONTENT_RANGE = re.compile(r'bytes (?:\d+-\d+|\*)/(\d+)\Z')


class PlainReader:
    """Reads items, with a GET for each range.

    :param connections: :class:`~connection.Connections`
    :param attempts: how often a GET that fails is sent
    :param clients: how many are sent at once
    """

    def __init__(self, connections, attempts, clients):
        self._connections = connections
        self._attempts = attempts
        self._clients = clients
        self._pool = None

    def read(self, items):
        """What comes of items, in their order.

        :returns: iterator of (status, reason, etag, size, data)
        """
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(self._clients)
        yield from self._pool.map(self.get, items)

    def get(self, item):
        """What comes of one item.

        :returns: (status, reason, etag, size, data)
        """
        etag, size, data = item.etag, None, []
        for number, wanted in enumerate(item.ranges or [None]):
            status, reason, found, total, body = self._get(
                item, wanted, etag)
            if status not in (200, 206):
                if status == 412 and number and item.etag is None:
                    status, reason = 409, 'the object has changed'
                return status, reason, found, total, []
            etag, size = found or etag, total
            data.append(body)
        return 206 if item.ranges else 200, '', etag, size, data

    def _get(self, item, wanted, etag):
        """One GET, tried again if it fails."""
        for attempt in range(1, self._attempts + 1):
            try:
                found = self._once(item, wanted, etag)
            except connection.FAILURES as exc:
                self._connections.close()
                if attempt == self._attempts:
                    raise ConnectionError(f'{item.object}: {exc!r}')
            else:
                if (found[0] not in connection.RETRIED
                        or attempt == self._attempts):
                    return found
            connection.pause(attempt)

    def _once(self, item, wanted, etag):
        headers = {}
        if wanted is not None:
            headers['Range'] = range_math.header(wanted)
        if etag:
            headers['If-Match'] = etag if etag == '*' else f'"{etag}"'
        response = self._connections.request(
            'GET', f'{self._connections.path}/{item.container}/{item.object}',
            headers=headers, query=self._connections.signature)
        body = response.read()
        found = (response.getheader('Etag') or '').strip('"') or None
        status, size = response.status, None
        if status == 200:
            size = len(body)
            if wanted is not None:
                # The server does not know ranges here.
                parts = range_math.resolve([wanted], size)
                if parts is None:
                    return 416, 'beyond the end', found, size, b''
                start, length = parts[0]
                status, body = 206, body[start:start + length]
        else:
            match = _CONTENT_RANGE.match(
                response.getheader('Content-Range') or '')
            size = int(match[1]) if match else None
            if status == 416 and size == 0 and range_math.resolve(
                    [wanted], 0) is not None:
                return self._once(item, None, etag)  # The last of nothing.
        return status, response.reason, found, size, body
