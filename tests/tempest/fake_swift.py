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

"""A Swift with batch reads and S3, as far as the scenarios see it."""

import json
import types
import urllib.parse

from ai_factory_plugins.dataset import frames

OPERATOR = types.SimpleNamespace(tenant_id='project-1', user_id='user-1')
ALT = types.SimpleNamespace(tenant_id='project-2', user_id='user-2')


class Swift:
    """It plays the clients of Tempest that the scenarios use.

    :param info: whether ``/info`` tells of batch reads
    :param authorises: whether it looks who asks
    :param shift: how many bytes ranges are off
    :param whole: whether answers have their last frame
    :param stale: whether S3 goes on to read what it has read once
    """

    base_url = 'http://swift/v1/AUTH_project-1'

    def __init__(self, info=True, authorises=True, shift=0, whole=True,
                 stale=False):
        self.info, self.authorises = info, authorises
        self.shift, self.whole = shift, whole
        self.stale = stale
        self.acls, self.stored, self.keys, self.seen = {}, {}, {}, {}

    def manager(self, user):
        """What Tempest asks for a user's clients."""
        client = types.SimpleNamespace(
            auth_provider=types.SimpleNamespace(
                get_token=lambda: f'{user.tenant_id}:{user.user_id}',
                clear_auth=lambda: None),
            base_url=self.base_url, raw_request=self.raw_request,
            update_container=self.update_container,
            delete_container=self.acls.pop,
            create_user_ec2_credential=self.create_keys,
            delete_user_ec2_credential=lambda _, key: self.keys.pop(key),
            create_object=self.create_object,
            delete_object=lambda *name: self.stored.pop(name),
            list_capabilities=lambda: {'batch_read': {}} if self.info else {})
        return types.SimpleNamespace(
            credentials=user, container_client=client, object_client=client,
            capabilities_client=client, users_v3_client=client)

    def update_container(self, name, **headers):
        self.acls[name] = headers.get('X-Container-Read')

    def create_object(self, container, name, data):
        self.stored[container, name] = data

    def create_keys(self, user_id, tenant_id):
        access = f'key-{len(self.keys)}'
        self.keys[access] = tenant_id
        return {'credential': {'access': access, 'secret': 'secret'}}

    def raw_request(self, url, method, headers, body=None):
        if method == 'GET':
            return self.read(url, headers['Range'])
        assert method == 'POST' and url.startswith(self.base_url + '/')
        container, _, query = url.rpartition('/')[2].partition('?')
        assert query == 'batch-read=1'
        owner = f'{OPERATOR.tenant_id}:{OPERATOR.user_id}'
        if self.authorises and headers['X-Auth-Token'] not in (
                owner, self.acls[container]):
            return types.SimpleNamespace(status=403), b''
        return types.SimpleNamespace(status=200), b''.join(
            self._frames(container, body.splitlines()))

    def read(self, url, range_):
        """Answer a request of S3 that is signed."""
        parts = urllib.parse.urlsplit(url)
        credential, = urllib.parse.parse_qs(parts.query)['X-Amz-Credential']
        project = self.keys[credential.partition('/')[0]]
        if self.authorises and project != OPERATOR.tenant_id:
            return types.SimpleNamespace(status=403), b'AccessDenied'
        name = tuple(parts.path[1:].split('/'))
        data = self.stored[name]
        if self.stale:
            data = self.seen.setdefault(name, data)
        first, last = range_.removeprefix('bytes=').split('-')
        return types.SimpleNamespace(status=206), data[
            int(first) + self.shift:int(last) + 1 if last else None]

    def _frames(self, container, lines):
        for i, line in enumerate(lines):
            entry = json.loads(line)
            data = self.stored.get((container, entry['object']))
            if data is None:
                yield from frames.encode(frames.ENTRY, 404, i)
                continue
            found = b''.join(
                data[first + self.shift:
                     None if last is None else last + 1 + self.shift]
                for first, last in entry['ranges'])
            yield from frames.encode(frames.ENTRY, 206, i, None, found[:100])
            yield from frames.encode(frames.DATA, 206, i, None, found[100:])
        if self.whole:
            yield from frames.encode(frames.END, 0, len(lines))
