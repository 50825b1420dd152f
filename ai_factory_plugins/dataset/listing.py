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

"""What there is in an account: listings and single objects."""

import json
import typing
import urllib.parse

from ai_factory_plugins.dataset import connection

PAGE = 10000


class Object(typing.NamedTuple):
    """An object, or what names of objects begin with.

    :param name: of the object; a beginning ends with ``/``
    :param size: in bytes, None for a beginning
    :param etag: without quotes
    :param modified: text, as Swift tells it
    """

    name: str
    size: int | None = None
    etag: str | None = None
    modified: str | None = None


class Listing:
    """Listings of one account.

    :param connections: :class:`~connection.Connections`
    :param attempts: how often to ask
    """

    def __init__(self, connections, attempts=4):
        self._connections = connections
        self._attempts = attempts

    def containers(self):
        """Names of the containers.

        :returns: iterator
        :raises ServerError: refused
        """
        for entry in self._pages('', {}):
            yield entry['name']

    def objects(self, container, prefix='', delimiter='', limit=None):
        """The objects of a container.

        :param prefix: what their names begin with
        :param delimiter: names are cut off after it
        :param limit: how many at most
        :returns: iterator of :class:`Object`
        :raises ServerError: refused, or there is no such container
        """
        query = {'prefix': prefix, 'delimiter': delimiter}
        for entry in self._pages(f'/{container}', query, limit):
            if 'subdir' in entry:
                yield Object(entry['subdir'])
            else:
                yield Object(entry['name'], entry['bytes'], entry['hash'],
                             entry['last_modified'])

    def has_container(self, name):
        """Whether there is a container.

        :raises ServerError: refused
        """
        response = self._head(f'/{name}')
        if response.status == 404:
            return False
        _check(response, name)
        return True

    def object(self, container, name):
        """One object.

        :returns: an :class:`Object`, or None
        :raises ServerError: refused
        """
        response = self._head(f'/{container}/{name}')
        if response.status == 404:
            return None
        _check(response, f'{container}/{name}')
        return Object(
            name, int(response.getheader('Content-Length')),
            (response.getheader('Etag') or '').strip('"') or None,
            response.getheader('Last-Modified'))

    def _head(self, path):
        return self._request('HEAD', path)[0]

    def _pages(self, path, query, limit=None):
        marker = ''
        while True:
            size = PAGE if limit is None else min(PAGE, limit)
            response, body = self._request('GET', path, {
                **query, 'format': 'json', 'limit': size, 'marker': marker})
            _check(response, path)
            found = json.loads(body) if response.status != 204 else []
            yield from found
            if limit is not None:
                limit -= len(found)
            if len(found) < size or limit == 0:
                return
            marker = found[-1].get('name') or found[-1]['subdir']

    def _request(self, method, path, query=()):
        def once():
            response = self._connections.request(
                method, self._connections.path + path,
                query='?' + urllib.parse.urlencode(query) if query else '')
            body = response.read()
            if response.status in connection.RETRIED:
                raise ConnectionError(f'{response.status} for {path}')
            return response, body
        return self._connections.retried(once, self._attempts)


def _check(response, what):
    if response.status >= 300:
        raise connection.ServerError(
            response.status, f'{what}: {response.reason}')
