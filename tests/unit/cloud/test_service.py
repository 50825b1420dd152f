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

import http.server
import threading

import testtools

from cloud import service

ANSWERS = {
    '/versions': (200, b'{"versions": []}'),
    '/choices': (300, b'{"versions": []}'),
    '/refused': (401, b'{"error": {}}'),
    '/page': (200, b'<html>It works!</html>'),
    '/broken': (500, b'{"error": {}}'),
}


class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class AnswersTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.port = self.server.server_address[1]

    def test_json_and_no_error_of_the_server(self):
        found = {path for path in ANSWERS if service.answers(
            f'http://127.0.0.1:{self.port}{path}')}
        self.assertEqual({'/versions', '/choices', '/refused'}, found)

    def test_listens(self):
        self.assertTrue(service.listens(self.port))

    def test_a_broker_that_is_none_has_no_consumers(self):
        self.assertFalse(service.consumes(self.port, 'conductor'))


class NobodyTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        with http.server.HTTPServer(('127.0.0.1', 0), Handler) as server:
            self.port = server.server_address[1]

    def test_nobody_there(self):
        self.assertFalse(service.listens(self.port))
        self.assertFalse(service.answers(f'http://127.0.0.1:{self.port}/'))
        self.assertFalse(service.consumes(self.port, 'conductor'))
