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

"""Whether a request may read objects, and where they are stored."""

import functools

from swift.common.http import is_server_error
from swift.common.storage_policy import POLICIES
from swift.common.storage_policy import REPL_POLICY
from swift.common.swob import Request
from swift.common.swob import str_to_wsgi
from swift.proxy.controllers.base import get_container_info

# Authorizers of whom it is known that they look at the account and the
# container, and not at the name of an object.
_BLIND_TO_NAMES = frozenset((
    ('swift.common.middleware.tempauth', 'TempAuth'),
    ('swift.common.middleware.keystoneauth', 'KeystoneAuth'),
))
SOURCE = 'BR'  # marks requests of this middleware in the logs


class Denied(Exception):
    """No object may be read.

    :param response: what the authorizer answers
    """

    def __init__(self, response):
        super().__init__('denied')
        self.response = response


class Container:
    """What is known of one container.

    :param status: HTTP status that all its objects get, or None
    :param policy: its storage policy
    """

    def __init__(self, status=None, policy=None):
        self.status = status
        self.policy = policy

    @property
    def is_raw(self):
        """Whether the disks have what clients see, bytes in their order."""
        return self.policy.policy_type == REPL_POLICY


class Access:
    """Authorises a request as ordinary reads of the same objects would be.

    :param env: the WSGI environment of the request
    :param app: the application right of this middleware
    :param version: first part of the path
    :param account: name
    """

    def __init__(self, env, app, version, account):
        # Shared with all requests that are derived from it.
        env.setdefault('swift.infocache', {})
        self.env = env
        self.account = account
        self._app = app
        self._prefix = f'/{version}/{account}'
        self._containers = {}
        self._denials = {}
        self._by_name = not _is_blind(env.get('swift.authorize'))

    def path(self, container, name):
        """Path of an object, as WSGI has it."""
        return str_to_wsgi(f'{self._prefix}/{container}/{name}')

    def container(self, name):
        """A :class:`Container`; asks Swift for it once."""
        if name not in self._containers:
            self._containers[name] = self._look_up(name)
        return self._containers[name][0]

    def _look_up(self, name):
        env = dict(self.env, PATH_INFO=str_to_wsgi(f'{self._prefix}/{name}'))
        info = get_container_info(env, self._app, swift_source=SOURCE)
        # As for an ordinary read, that there is no such container does not
        # matter until the objects are not found.
        if is_server_error(info['status']):
            return Container(status=503), None
        policy = POLICIES.get_by_index(info['storage_policy'])
        if policy is None:
            return Container(status=503), None
        return Container(policy=policy), info['read_acl']

    def denial(self, container, name):
        """What the authorizer says to reading an object.

        :returns: None if it may be read, else a response
        """
        key = (container, name if self._by_name else None)
        if key not in self._denials:
            self.container(container)
            self._denials[key] = self._authorize(container, name)
        return self._denials[key]

    def _authorize(self, container, name):
        req = Request(dict(
            self.env, REQUEST_METHOD='GET', QUERY_STRING='',
            PATH_INFO=self.path(container, name)))
        req.acl = self._containers[container][1]
        return self.env['swift.authorize'](req)

    def check(self, entries):
        """Authorise all entries that are not wrong otherwise.

        :returns: dict of number of the entry to HTTP status, for those that
            are denied
        :raises Denied: all are
        """
        denied, first, asked = {}, None, 0
        for entry in entries:
            if entry.error is not None:
                continue
            asked += 1
            response = self.denial(entry.container, entry.object)
            if response is not None:
                # It may be any WSGI callable.
                denied[entry.index] = getattr(response, 'status_int', 403)
                first = first or response
        if first is not None and len(denied) == asked:
            raise Denied(first)
        return denied


def _is_blind(authorize):
    if isinstance(authorize, functools.partial):
        authorize = authorize.func
    owner = type(getattr(authorize, '__self__', None))
    return (owner.__module__, owner.__qualname__) in _BLIND_TO_NAMES
