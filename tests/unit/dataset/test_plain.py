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

"""GETs of ranges, from servers that answer in their own ways."""

import http.client
import types
import unittest
from unittest import mock

from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import connection
from ai_factory_plugins.dataset import plain

ETAG = 'e' * 32


class Server:
    """Stands for :class:`~connection.Connections`.

    :param answers: (status, body, headers) of each request, or what fails
    """

    path, signature = '/v1/a', ''

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []
        self.closed = 0

    def request(self, method, path, body=None, headers=(), query=''):
        self.asked.append((method, path + query, dict(headers)))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, headers = answer
        return types.SimpleNamespace(
            status=status, reason=f'reason {status}', read=lambda: body,
            getheader=lambda name, default=None: headers.get(name, default))

    def close(self):
        self.closed += 1


def part(body, first=0, size=10, etag=ETAG):
    return 206, body, {
        'Etag': f'"{etag}"', 'Content-Range':
            f'bytes {first}-{first + len(body) - 1}/{size}'}


class PlainReaderTest(unittest.TestCase):

    def setUp(self):
        self.pauses = []
        patch = mock.patch.object(connection, 'pause', self.pauses.append)
        patch.start()
        self.addCleanup(patch.stop)

    def get(self, server, *ranges, **options):
        return plain.PlainReader(server, 3, 1).get(
            client.Item('o', ranges, 'c', **options))

    def test_ranges_are_of_one_version(self):
        server = Server(part(b'01'), part(b'9', 9))
        self.assertEqual(
            self.get(server, (0, 1), (None, 1)),
            (206, '', ETAG, 10, [b'01', b'9']))
        self.assertEqual(server.asked, [
            ('GET', '/v1/a/c/o', {'Range': 'bytes=0-1'}),
            ('GET', '/v1/a/c/o', {
                'Range': 'bytes=-1', 'If-Match': f'"{ETAG}"'})])

    def test_a_change_between_ranges(self):
        changed = (412, b'', {})
        status, reason, *_, data = self.get(
            Server(part(b'01'), changed), (0, 1), (3, 4))
        self.assertEqual((status, reason, data),
                         (409, 'the object has changed', []))
        for ranges in (((0, 1),), ((0, 1), (3, 4))):
            answers = [part(b'01')] * (len(ranges) - 1)
            self.assertEqual(412, self.get(
                Server(*answers, changed), *ranges, etag=ETAG)[0])

    def test_etags_that_are_asked_for(self):
        for etag, header in (('*', '*'), (ETAG, f'"{ETAG}"')):
            server = Server((200, b'0', {}))
            self.assertEqual(200, self.get(server, etag=etag)[0])
            self.assertEqual(server.asked[0][2], {'If-Match': header})

    def test_a_server_without_ranges(self):
        whole = (200, b'0123456789', {})
        self.assertEqual(
            self.get(Server(whole, whole), (2, 4), (None, 2)),
            (206, '', None, 10, [b'234', b'89']))
        self.assertEqual(416, self.get(Server(whole), (10, None))[0])

    def test_the_last_bytes_of_nothing(self):
        nothing = (416, b'', {'Content-Range': 'bytes */0'})
        self.assertEqual(
            self.get(Server(nothing, (200, b'', {})), (None, 5))[::4],
            (206, [b'']))
        self.assertEqual(416, self.get(Server(nothing), (0, 5))[0])

    def test_failures_are_tried_again(self):
        for failure in (ConnectionResetError(), http.client.IncompleteRead(
                b''), (503, b'', {})):
            server = Server(failure, failure, (200, b'0', {}))
            self.assertEqual(self.get(server)[::4], (200, [b'0']))
            self.assertEqual(
                server.closed, 0 if isinstance(failure, tuple) else 2)
        self.assertEqual(self.pauses, [1, 2] * 3)

    def test_failures_without_end(self):
        with self.assertRaisesRegex(ConnectionError, '^o: '):
            self.get(Server(*[TimeoutError()] * 3))
        self.assertEqual(503, self.get(Server(*[(503, b'', {})] * 3))[0])

    def test_refusals_are_final(self):
        for status in (401, 403, 404, 416):
            server = Server((status, b'', {}))
            self.assertEqual(
                self.get(server, (0, 1)),
                (status, f'reason {status}', None, None, []))
        self.assertFalse(self.pauses)
