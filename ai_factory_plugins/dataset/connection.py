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

"""HTTP to one Swift proxy, and how it fails."""

import http.client
import json
import ssl
import threading
import time
import urllib.parse

RETRIED = frozenset((408, 429, 498, 499, 500, 502, 503, 504, 507))
#: What tells that a connection has failed, or an answer is not whole.
FAILURES = (OSError, http.client.HTTPException)
_SIGNATURE = 'temp_url_sig'
_PAUSE = 0.2  # seconds before the second try, doubled for each other


class ServerError(Exception):
    """The server has refused a request as a whole.

    :param status: HTTP status
    """

    def __init__(self, status, reason):
        super().__init__(f'{status}: {reason}')
        self.status = status


class Connections:
    """Connections to the proxy of an account, one a thread.

    :param url: URL of the account, as the identity service tells it; with the
        query of a temporary URL for objects with a prefix, GETs of objects
        have that for a token
    :param token: what goes into X-Auth-Token, None for none, or a callable
        that returns it; it is called again when a token is not accepted
    :param timeout: seconds that the server may be silent
    """

    def __init__(self, url, token=None, timeout=60):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'not a URL of an account: {url!r}')
        if parts.query and _SIGNATURE not in urllib.parse.parse_qs(
                parts.query):
            raise ValueError(f'not the query of a temporary URL: {url!r}')
        self.signature = parts.query and f'?{parts.query}'
        self._parts = parts
        self.path = urllib.parse.unquote(parts.path).rstrip('/')
        self._token = token
        self._known = None
        self._timeout = timeout
        self._local = threading.local()

    def _connection(self):
        found = getattr(self._local, 'connection', None)
        if found is None:
            port = self._parts.port
            if self._parts.scheme == 'https':
                found = http.client.HTTPSConnection(
                    self._parts.hostname, port, timeout=self._timeout,
                    context=ssl.create_default_context())
            else:
                found = http.client.HTTPConnection(
                    self._parts.hostname, port, timeout=self._timeout)
            self._local.connection = found
        return found

    def close(self):
        """Close the connection of this thread."""
        found = getattr(self._local, 'connection', None)
        if found is not None:
            found.close()

    def _authorization(self):
        if callable(self._token) and self._known is None:
            self._known = self._token()
        token = self._known if callable(self._token) else self._token
        return {} if token is None else {'X-Auth-Token': token}

    def request(self, method, path, body=None, headers=(), query=''):
        """Send a request, again with a new token if the first is too old.

        :param path: not quoted
        :returns: the response, of any status, not read
        :raises: one of :data:`FAILURES`
        """
        target = urllib.parse.quote(path) + query
        for last in (not callable(self._token), True):
            connection = self._connection()
            try:
                connection.request(method, target, body, {
                    **self._authorization(), **dict(headers)})
                response = connection.getresponse()
            except FAILURES:
                connection.close()
                raise
            if response.status != 401 or last:
                return response
            response.read()
            self._known = None
        return response

    def info(self, attempts=1):
        """What the cluster says about itself; empty if it does not.

        :param attempts: how often to ask
        :raises: one of :data:`FAILURES`
        """
        response, body = self.retried(self._info, attempts)
        if response.status != 200:
            return {}
        try:
            found = json.loads(body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _info(self):
        response = self.request('GET', '/info')
        return response, response.read()

    def retried(self, call, attempts):
        """What a function returns, tried again where the connection fails.

        :param call: called without arguments
        :raises: one of :data:`FAILURES`
        """
        for attempt in range(1, attempts + 1):
            try:
                return call()
            except FAILURES:
                self.close()
                if attempt == attempts:
                    raise
            pause(attempt)


def pause(failures):
    """Wait before another try, longer each time.

    :param failures: how many there were
    """
    time.sleep(_PAUSE * 2 ** (failures - 1))
