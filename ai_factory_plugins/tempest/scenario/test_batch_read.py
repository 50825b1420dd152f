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

"""Ranges of many objects are read with one request, by who may read them."""

import io
import json

from tempest.lib import decorators

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.dataset import frames
from ai_factory_plugins.tempest.scenario import swift

SIZE, RANGES = swift.SIZE, swift.RANGES


def answers(body):
    """What a batch was answered.

    :param body: bytes of an answer
    :returns: list of (HTTP status, data) of its entries
    """
    receive, found = io.BytesIO(body).read, []
    while True:
        frame = frames.read(receive)
        if frame.kind == frames.END:
            return found
        if frame.kind == frames.ENTRY:
            found.append((frame.status, bytes(frame.data)))
        elif frame.kind == frames.DATA:
            status, data = found[frame.entry]
            found[frame.entry] = status, data + bytes(frame.data)
        else:
            raise AssertionError(f'{frame.entry} was aborted: {frame.meta}')


class BatchReadTest(swift.SwiftTest):

    @classmethod
    def setup_clients(cls):
        super().setup_clients()
        info = cls.owner.capabilities_client.list_capabilities()
        if 'batch_read' not in info:
            raise cls.skipException('Swift has no batch_read')

    def batch(self, user, container, *names):
        """Read the ranges of objects.

        :param user: whose token is used
        :returns: HTTP status, and the body as bytes
        """
        body = '\n'.join(json.dumps({'object': name, 'ranges': list(RANGES)})
                         for name in names)
        resp, body = user.container_client.raw_request(
            f'{self.containers.base_url}/{container}'
            f'?{entries.PARAMETER}={entries.VERSION}', 'POST',
            headers={'X-Auth-Token':
                     user.container_client.auth_provider.get_token()},
            body=body)
        return resp.status, body

    def assert_read(self, body, stored, names):
        """The answer to a batch is what was stored, or that it was not."""
        expected = [
            (206, b''.join(
                stored[name][first:SIZE if last is None else last + 1]
                for first, last in RANGES)) if name in stored else (404, b'')
            for name in names]
        self.assertEqual(expected, answers(body))

    @decorators.idempotent_id('1b7d2a6e-94b2-4c0a-8f38-6d2c0e9f4a77')
    def test_ranges_of_several_objects(self):
        container, stored = self.store()
        names = ['a', 'no-such-object', 'b', 'a']
        status, body = self.batch(self.owner, container, *names)
        self.assertEqual(200, status)
        self.assert_read(body, stored, names)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('e2f9d4c1-3f4b-4f5e-9d3b-0c5a7b1e8d26')
    def test_without_access(self):
        container, _ = self.store()
        status, _ = self.batch(self.other, container, 'a', 'b')
        self.assertEqual(403, status)

    @decorators.idempotent_id('7c0f3b58-2d6e-4a19-b0f4-8e1d5c9a6b32')
    def test_access_that_is_given(self):
        user = self.other.credentials
        container, stored = self.store(**{
            'X-Container-Read': f'{user.tenant_id}:{user.user_id}'})
        status, body = self.batch(self.other, container, 'a', 'b')
        self.assertEqual(200, status)
        self.assert_read(body, stored, ['a', 'b'])
