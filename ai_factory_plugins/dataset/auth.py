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

"""Where an account is, and with what it is read."""

import http.client
import threading
import urllib.error
import urllib.request

_TIMEOUT = 60


class AuthError(OSError):
    """The identity service does not give a token; the message says why."""


def account(storage_url=None, token=None, auth_url=None, user=None, key=None,
            **keystone_options):
    """URL and token of an account.

    One of these is told:

    * ``storage_url`` and ``token``, which are returned as they are; for
      objects with a prefix, ``storage_url`` with the query of a temporary URL
      needs no token;
    * ``auth_url``, ``user`` and ``key`` for the first version of Swift's
      authentication, as tempauth has it (``http://proxy:8080/auth/v1.0``);
    * ``auth_url`` and what :func:`keystone` takes.

    :returns: (URL of the account, token, None, or a callable that returns a
        new one)
    :raises AuthError: there is no token to be had
    :raises ValueError: the options do not say which
    """
    if storage_url is not None:
        if auth_url is not None or keystone_options:
            raise ValueError('storage_url or auth_url, not both')
        return storage_url, token
    if auth_url is None:
        raise ValueError('neither storage_url nor auth_url')
    if user is not None:
        return tempauth(auth_url, user, key, **keystone_options)
    return keystone(auth_url, **keystone_options)


def tempauth(auth_url, user, key, timeout=_TIMEOUT):
    """Log in with the first version of Swift's authentication.

    :param auth_url: for example ``http://proxy:8080/auth/v1.0``
    :param user: ``account:user``
    :param timeout: seconds
    :returns: (URL of the account, callable that returns a new token)
    :raises AuthError: it is refused, or nobody answers
    """

    def login():
        request = urllib.request.Request(auth_url, headers={
            'X-Auth-User': user, 'X-Auth-Key': key})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return (response.headers['X-Storage-Url'],
                        response.headers['X-Auth-Token'])
        except urllib.error.HTTPError as exc:
            exc.close()
            raise AuthError(f'{auth_url}: {exc.code} for {user}') from exc
        except (OSError, http.client.HTTPException) as exc:
            raise AuthError(f'{auth_url}: {exc}') from exc

    url, token = login()
    return url, _Tokens(token, lambda: login()[1])


def keystone(auth_url, region_name=None, interface='public', **options):
    """Log in with keystone.

    Needs the package ``keystoneauth1``.

    :param auth_url: for example ``https://cloud:5000/v3``
    :param region_name: region of the object store
    :param interface: of its endpoint
    :param options: ``username``, ``password``, ``project_name`` and the
        domains, or ``application_credential_id`` and ``_secret``, as
        keystoneauth1 takes them
    :returns: (URL of the account, callable that returns a new token)
    :raises AuthError: it is refused, or there is no object store
    """
    from keystoneauth1 import exceptions
    from keystoneauth1 import identity
    from keystoneauth1 import session as sessions

    if 'application_credential_id' in options:
        plugin = identity.V3ApplicationCredential(auth_url, **options)
    else:
        if not {'user_domain_id', 'user_domain_name'}.intersection(options):
            options['user_domain_id'] = 'default'
        if not {'project_domain_id', 'project_domain_name'}.intersection(
                options):
            options['project_domain_id'] = 'default'
        plugin = identity.V3Password(auth_url, **options)
    session = sessions.Session(auth=plugin, timeout=_TIMEOUT)

    def new_token():
        session.invalidate()
        return session.get_token()

    try:
        url = session.get_endpoint(
            service_type='object-store', region_name=region_name,
            interface=interface)
        token = session.get_token()
    except exceptions.ClientException as exc:
        raise AuthError(f'{auth_url}: {exc}') from exc
    if url is None:
        raise AuthError(f'{auth_url}: there is no object store')
    return url, _Tokens(token, new_token)


class _Tokens:
    """The token that is there already, and then new ones."""

    def __init__(self, token, renew):
        self._token = token
        self._renew = renew
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            token, self._token = self._token, None
            return token or self._renew()
