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

"""Swift's API, as raw as the tests need it."""

import contextlib
import http.client
import io
import json
import typing
import urllib.parse

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import ranges


class Response(typing.NamedTuple):
    status: int
    headers: dict
    body: bytes


class Got(typing.NamedTuple):
    """One entry's answer.

    :param aborted: status of the frame that has made the data void, or None
    """

    status: int
    meta: dict
    data: list
    aborted: int | None = None


class Api:
    """One user's view of a Swift.

    :param swift: a :class:`~cloud.services.swift.Swift`
    """

    def __init__(self, swift, account='test', user='tester', proxy='proxy'):
        self.swift = swift
        self.proxy = proxy
        url, self.token = swift.login(account, user)
        self.account = urllib.parse.urlsplit(url).path
        self.url = swift.url(proxy) + self.account

    def connect(self, timeout=60):
        return http.client.HTTPConnection(
            '127.0.0.1', self.swift.port(self.proxy), timeout=timeout)

    def request(self, method, path='', body=None, query='', account=None,
                token=True, **headers):
        connection = self.connect()
        try:
            fields = {name.replace('_', '-'): value
                      for name, value in headers.items()}
            if token:
                fields['X-Auth-Token'] = self.token
            connection.request(
                method, urllib.parse.quote(
                    f'{account or self.account}{path}') + query, body, fields)
            response = connection.getresponse()
            return Response(
                response.status, {name.lower(): value for name, value
                                  in response.getheaders()}, response.read())
        finally:
            connection.close()

    @contextlib.contextmanager
    def begun(self, method, path, body=None, query='', length=100 * 1024,
              **headers):
        """A request of whose answer the client has read but little.

        :param length: bytes that it has read
        :returns: a function that returns all of the answer's body
        """
        connection = self.connect(timeout=120)
        try:
            connection.request(
                method, urllib.parse.quote(f'{self.account}{path}') + query,
                body, {'X-Auth-Token': self.token, **headers})
            response = connection.getresponse()
            assert response.status in (200, 206), response.read()
            head = response.read(length)
            yield lambda: head + response.read()
        finally:
            connection.close()

    def begun_batch(self, wanted, container, **options):
        """A batch of whose answer the client has read but little."""
        return self.begun('POST', f'/{container}', lines(wanted),
                          '?batch-read=1', **options)

    def put(self, path, body=b'', query='', **headers):
        response = self.request('PUT', path, body, query, **headers)
        assert response.status in (201, 202), response
        return response

    def get(self, path, wanted=None, **headers):
        """An ordinary GET of a range."""
        if wanted is not None:
            headers['Range'] = ranges.header(wanted)
        return self.request('GET', path, **headers)

    def delete(self, path):
        response = self.request('DELETE', path)
        assert response.status == 204, response

    def post_batch(self, body, container=None, query='', **options):
        """Send a batch.

        :param body: bytes, or a list of dicts
        :param query: parameters besides, such as ``&format=tar``
        """
        path = '' if container is None else f'/{container}'
        if not isinstance(body, bytes):
            body = lines(body)
        return self.request(
            'POST', path, body, f'?batch-read=1{query}', **options)

    def batch(self, wanted, container=None, **options):
        """A batch that is not refused as a whole.

        :param wanted: list of dicts
        :returns: list of :class:`Got`
        """
        response = self.post_batch(wanted, container, **options)
        assert response.status == 200, response
        return decode(response.body, len(wanted))


def lines(wanted):
    return b''.join(json.dumps(item).encode() + b'\n' for item in wanted)


def decode(body, count):
    """The answers in a stream of frames; nothing may be missing or extra."""
    stream, found, sent = io.BytesIO(body), [], 0
    while True:
        frame = frames.read(stream.read)
        if frame.kind == frames.END:
            break
        if frame.kind == frames.ENTRY:
            assert frame.entry == len(found)
            found.append([frame.status, frame.meta, bytearray(), None])
        else:
            assert frame.entry == len(found) - 1
            assert frame.kind == frames.DATA or not found[-1][3]
        if frame.kind == frames.ABORT:
            found[-1][3] = frame.status
        found[-1][2] += frame.data
        sent += len(frame.data)
    assert not stream.read()
    assert frame.entry == count == len(found)
    assert frame.meta == {'entries': count, 'bytes': sent}
    return [_got(*item) for item in found]


def _got(status, meta, data, aborted):
    if status not in (200, 206):
        assert not data and aborted is None
        return Got(status, meta, [])
    data, parts, at = bytes(data), [], 0
    for _, length in meta['parts']:
        parts.append(data[at:at + length])
        at += length
    assert aborted or at == len(data)
    return Got(status, meta, parts, aborted)
