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
"""The client against a scripted proxy."""

import contextlib
import http.server
import json
import threading
import unittest

from ai_factory_plugins.dataset import client
from ai_factory_plugins.dataset import frames

INFO = {client.INFO: {'version': 1, 'max_entries': 100, 'max_ranges': 100,
                      'max_body': 100000}}


class Proxy(http.server.ThreadingHTTPServer):
    """Answers batches with frames, and GETs with their whole path.

    :param answers: for each batch a list of frames; the last for all others
    """

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(('127.0.0.1', 0), Handler)
        self.answers = answers
        self.asked = []

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_port}/v1/a'


class Handler(http.server.BaseHTTPRequestHandler):

    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def _send(self, body, kind='text/plain'):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == '/info':
            self._send(json.dumps(INFO).encode())
        else:
            self.server.asked.append(('GET', self.path))
            self._send(self.path.encode())

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.server.asked.append(('POST', self.path.partition('?')[0]))
        answers = self.server.answers
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        self._send(b''.join(b''.join(frame) for frame in found),
                   frames.CONTENT_TYPE)


def entry(number, data=b'data', **meta):
    return frames.encode(frames.ENTRY, 206, number, {
        'etag': 'e', 'size': 9, 'parts': [(0, len(data))], **meta}, data)


def refused(number, status):
    return frames.encode(
        frames.ENTRY, status, number, {'reason': 'because'})


def end(count):
    return frames.encode(frames.END, 200, count)


class ClientTest(unittest.TestCase):

    @contextlib.contextmanager
    def proxy(self, *answers):
        with Proxy(list(answers)) as server:
            thread = threading.Thread(target=server.serve_forever, args=(.01,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    @staticmethod
    def read(server, count, attempts=2):
        reader = client.BatchReader(server.url, attempts=attempts)
        items = [client.Item(f'o{n}', [(0, 3)]) for n in range(count)]
        return list(reader.read(items, 'c'))

    def test_failed_items_leave_the_batch_alone(self):
        """Each is read with a GET; what else the batch has is not lost."""
        large = b'data' * 100000  # not received with the first ones
        with self.proxy([entry(0), refused(1, 503), refused(2, 503),
                         entry(3, large), refused(4, 404), end(5)]) as server:
            found = self.read(server, 5)
        self.assertEqual([one.status for one in found],
                         [206, 206, 206, 206, 404])
        self.assertEqual([found[n].data for n in (0, 1, 2, 3)], [
            [b'data'], [b'/v1/'], [b'/v1/'], [large]])
        self.assertEqual(server.asked, [
            ('POST', '/v1/a'), ('GET', '/v1/a/c/o1'), ('GET', '/v1/a/c/o2')])

    def test_malformed_entries(self):
        """They are as good as none: the batch is sent again."""
        for meta in ({'parts': None}, {'parts': 4}, {'parts': [4]},
                     {'parts': [['0', '4']]}, {'parts': [[0, -4], [0, 8]]},
                     {'parts': [[True, 4]]}, {'parts': []}):
            with self.subTest(meta), self.proxy(
                    [entry(0, **meta), end(1)],
                    [entry(0), end(1)]) as server:
                found, = self.read(server, 1)
                self.assertEqual(found.data, [b'data'])
                self.assertEqual(len(server.asked), 2)
