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
"""Generations of objects, by which proxies tell each other of writes.

Each object that is cached or was written lately has a token in memcached. A
write sets a new one when Swift has done it and before the client is told. A
proxy that asks Swift for an object takes the token first, or sets one if there
is none; what it has learned holds as long as the token is the same.

That holds in any order of events: a token that was taken before a write is
over differs from the one that the write sets, and who takes it later asks
Swift later as well. A token that memcached has lost is set anew, so that what
depends on it is asked for again. The token of a write has the time of the
write as well: what a replica says that has missed the write is older, and is
not believed.
"""

import uuid

from swift.common.exceptions import MemcacheConnectionError
from swift.common.utils import cache_from_env

LIFETIME = 86400  # seconds
_PREFIX = 'block-cache/'
_WRITTEN = 'w'
_SEEN = 's'


class Unavailable(Exception):
    """Memcached does not answer, or there is none in the pipeline."""


def written_at(token):
    """When the write was that has set a token.

    :returns: as Swift writes timestamps, ``''`` where no write has set it
    """
    return token.partition('/')[2] if token.startswith(_WRITTEN) else ''


def get(env, key):
    """The token of an object, or None.

    :param env: WSGI environment of a request
    :param key: (account, container, object)
    :raises Unavailable: there is no telling
    """
    memcache = cache_from_env(env, True)
    if memcache is None:
        raise Unavailable('there is no memcached in the pipeline')
    try:
        token = memcache.get(_name(key), raise_on_error=True)
    except MemcacheConnectionError as exc:
        raise Unavailable(str(exc))
    return token if isinstance(token, str) else None


def get_or_set(env, key):
    """The token of an object; a new one if there is none.

    :raises Unavailable: there is no telling
    """
    return get(env, key) or _set(env, key, _SEEN + uuid.uuid4().hex)


def written(env, key, is_done):
    """Tell all proxies that an object was written.

    :param env: WSGI environment of the write, in which proxy-server has noted
        its time
    :param is_done: whether it has succeeded, so that what is older is old;
        else nobody knows
    :raises Unavailable: they are not told
    """
    moment = env.get('HTTP_X_TIMESTAMP', '') if is_done else ''
    _set(env, key, f'{_WRITTEN}{uuid.uuid4().hex}/{moment}')


def _set(env, key, token):
    memcache = cache_from_env(env, True)
    if memcache is None:
        raise Unavailable('there is no memcached in the pipeline')
    try:
        memcache.set(_name(key), token, time=LIFETIME, raise_on_error=True)
    except MemcacheConnectionError as exc:
        raise Unavailable(str(exc))
    return token


def _name(key):
    # Swift hashes it before it goes to memcached.
    return _PREFIX + '/'.join(key)
