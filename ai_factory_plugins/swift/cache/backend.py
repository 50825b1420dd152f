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
"""What the cache asks of the pipeline to its right.

These reads are made for all who will be served from the cache, so nothing of
the client's request is in them but its names; that request was authorised
before.
"""

from swift.common.swob import normalize_etag
from swift.common.swob import wsgi_quote
from swift.common.utils import close_if_possible
from swift.common.utils import drain_and_close
from swift.common.wsgi import make_pre_authed_request

from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import versions

SOURCE = 'BC'  # marks requests of this middleware in the logs
_OF_DATA = 'X-Backend-Data-Timestamp'
_OF_ALL = 'X-Backend-Timestamp'
# Of a response, and not of the object.
_NOT_KEPT = frozenset((
    'content-length', 'content-range', 'date', 'connection',
    'transfer-encoding', 'x-trans-id', 'x-openstack-request-id'))


class NotReadable(Exception):
    """Swift does not give what was asked for, or it is not to be cached."""


class BeyondTheEnd(NotReadable):
    """The object is shorter than was guessed."""


class Answer:
    """What Swift says of an object.

    :param version: a :class:`~versions.Version`
    :param extent: the bytes that come, or None if none do
    :param response: what they come with
    """

    def __init__(self, version, extent=None, response=None):
        self.version = version
        self.extent = extent
        self._response = response

    def __iter__(self):
        return iter(self._response.app_iter)

    def close(self):
        if self._response is not None:
            close_if_possible(self._response.app_iter)


def look(env, app, key, newest=False):
    """Ask for an object's version.

    :param env: WSGI environment of the client's request
    :param app: the application right of this middleware
    :param key: (account, container, object)
    :param newest: ask all replicas
    :returns: an :class:`Answer` without bytes
    :raises NotReadable: there is no version that could be cached
    """
    response = _ask(env, app, 'HEAD', {'X-Newest': 'true'} if newest else {})
    drain_and_close(response)
    if response.status_int != 200 or response.content_length is None:
        raise NotReadable(response.status)
    return Answer(_version(key, response, response.content_length))


def read(env, app, key, extent, version=None):
    """Read bytes of an object.

    :param extent: a :class:`~blocks.Extent`; may go beyond the end
    :param version: the one to read, or None for whatever there is
    :returns: an :class:`Answer`; the caller closes it
    :raises NotReadable: it is not there, not any more, or another version
    """
    headers = {'Range': f'bytes={extent.first}-{extent.last}'}
    if version is not None:
        headers['If-Match'] = f'"{version.etag}"'
    response = _ask(env, app, 'GET', headers)
    try:
        if response.status_int == 416:
            raise BeyondTheEnd(response.status)
        found = blocks.content_range(response.headers.get('Content-Range'))
        if response.status_int != 206 or found is None:
            raise NotReadable(response.status)
        got, size = found
        if got != (extent.first, min(extent.last, size - 1)):
            raise NotReadable('other bytes than those asked for')
        there = _version(key, response, size)
        if version is not None and there.key != version.key:
            raise NotReadable('another version')
        return Answer(there, got, response)
    except NotReadable:
        close_if_possible(response.app_iter)
        raise


def _ask(env, app, method, headers):
    if 'HTTP_X_BACKEND_ALLOW_RESERVED_NAMES' in env:
        headers['X-Backend-Allow-Reserved-Names'] = 'true'
    req = make_pre_authed_request(
        env, method, wsgi_quote(env['PATH_INFO']) + '?', headers=headers,
        agent='%(orig)s', swift_source=SOURCE)
    # That would have Swift answer to one site or client.
    for name in ('HTTP_ORIGIN', 'HTTP_ACCESS_CONTROL_REQUEST_METHOD',
                 'HTTP_REFERER'):
        req.environ.pop(name, None)
    return req.get_response(app)


def _version(key, response, size):
    """The version that a response is of.

    :raises NotReadable: it does not tell well enough
    """
    headers = response.headers
    timestamp, changed = headers.get(_OF_DATA), headers.get(_OF_ALL)
    etag = normalize_etag(headers.get('ETag') or '')
    if not timestamp or not changed or not etag:
        raise NotReadable('the version is not known')
    expires = headers.get('X-Delete-At')
    try:
        expires = None if expires is None else float(expires)
    except ValueError:
        raise NotReadable('malformed X-Delete-At')
    kept = [(name, value) for name, value in headers.items()
            if name.lower() not in _NOT_KEPT]
    return versions.Version(
        (*key, timestamp, etag, size), kept,
        frozenset(name.lower() for name, _ in kept), changed, expires)
