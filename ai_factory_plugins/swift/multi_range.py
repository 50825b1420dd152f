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

"""GETs of several ranges of one object, answered as a batch is.

Swift takes the answer of the object server to pieces, part by part, and puts
it together again, which costs most of such a GET. Here one request to an
object server brings the bytes of all ranges, from an object that is opened
once. What the client gets is what Swift gives, down to the headers: swob makes
them in the same way of what the object server tells.

All that is not a plain read of a plain object is left to Swift, and so is all
that would get anything but a 206 with several parts.
"""

import eventlet
from swift.common.constraints import check_utf8
from swift.common.constraints import valid_api_version
from swift.common.http import is_success
from swift.common import swob
from swift.common.utils import split_path
from swift.proxy.controllers.base import get_container_info

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import access
from ai_factory_plugins.swift.formats import partial
from ai_factory_plugins.swift import ordinary
from ai_factory_plugins.swift import running

# With these in the environment, a GET is more than a read of the client's.
_UNUSUAL = frozenset((
    'HTTP_ORIGIN', 'HTTP_X_NEWEST', 'HTTP_X_OPEN_EXPIRED', 'HTTP_X_TIMESTAMP',
    'swift.source', 'swift.authorize_override', 's3api.auth_details'))
_BACKEND = 'HTTP_X_BACKEND_'
_POLICY = _BACKEND + 'STORAGE_POLICY_INDEX'
# Filters that do nothing to a GET of a plain object; any other may.
_HARMLESS = frozenset(f'swift.common.middleware.{name}' for name in (
    'account_quotas', 'bulk', 'container_quotas', 'copy', 'crypto.decrypter',
    'crypto.encrypter', 'crypto.keymaster', 'crypto.kmip_keymaster',
    'crypto.kms_keymaster', 'dlo', 'listing_formats', 'proxy_logging',
    'ratelimit', 'slo', 'staticweb', 'symlink', 'versioned_writes.legacy',
    'versioned_writes.object_versioning')) | frozenset((
        'ai_factory_plugins.swift.block_cache',))
_PROXY = 'swift.proxy.server'


def parse(env, limit):
    """The ranges that a request asks for.

    :param env: WSGI environment
    :param limit: how many there may be
    :returns: list of ranges, see :mod:`ai_factory_plugins.dataset.ranges`
    :raises NotHere: there are not several, or too many, or they are malformed
    """
    if env.get('HTTP_RANGE', '').count(',') not in range(1, limit):
        raise partial.NotHere('not several ranges')
    try:
        found = swob.Range(env['HTTP_RANGE']).ranges
    except ValueError:
        raise partial.NotHere('malformed ranges')
    if any(position is not None and not 0 <= position <= entries.MAX_POSITION
           for item in found for position in item):
        raise partial.NotHere('positions of no object')
    return found


def names(env):
    """(version, account, container, object), if the request is plain.

    :param env: WSGI environment
    :raises NotHere: the request is of something else, or asks for more
    """
    if (env['REQUEST_METHOD'] != 'GET' or env.get('QUERY_STRING')
            or not _UNUSUAL.isdisjoint(env) or 'swift.authorize' not in env
            or any(name.startswith(_BACKEND) for name in env)):
        raise partial.NotHere('not a plain GET')
    try:
        found = split_path(env['PATH_INFO'], 4, 4, True)
    except ValueError:
        raise partial.NotHere('not of an object')
    path = swob.wsgi_to_str(env['PATH_INFO'])
    if not valid_api_version(found[0]) or not check_utf8(path):
        raise partial.NotHere('not of an object')
    return [swob.wsgi_to_str(name) for name in found]


def is_harmless(app):
    """Whether nothing else would do something to a GET of a plain object.

    :param app: what stands right of the filter
    """
    while app is not None:
        if type(app).__module__ == _PROXY:
            return not app.deny_host_headers
        if type(app).__module__ not in _HARMLESS:
            return False
        app = getattr(app, 'app', None)
    return False


def container(env, app, rights, name):
    """Look at the container, and whether the object may be read.

    :param env: WSGI environment
    :param app: what stands right of the filter
    :param rights: an :class:`~ai_factory_plugins.swift.access.Access`
    :param name: (container, object)
    :returns: its storage policy
    :raises NotHere: it may not, or its objects are not plain
    """
    info = get_container_info(env, app, swift_source=access.SOURCE)
    if not is_success(info['status']):
        raise partial.NotHere('no container')
    if any(key.startswith('versions-') for key in info['sysmeta']):
        raise partial.NotHere('versions have headers of their own')
    found = rights.container(name[0])
    if found.status is not None or not found.is_raw:
        raise partial.NotHere('not stored as clients see it')
    if rights.denial(*name) is not None:
        raise partial.NotHere('access is denied')
    return found.policy


class OnlyTheRest(ordinary.OrdinaryReads):
    """Reads the ordinary way what has begun; all else is for Swift itself."""

    takes_over = False

    def expect(self, entries):
        """Nothing is begun ahead."""

    def open(self, entry, wanted=None, etag=None):
        if wanted is None:
            raise partial.NotHere('no object server has it as clients see it')
        return super().open(entry, wanted, etag)


class MultiRange:
    """The rest of the pipeline, with GETs of several ranges.

    :param app: what stands right of the filter
    :param conf: dict of the filter's options
    :param batches: a :class:`~ai_factory_plugins.swift.batch_read.BatchRead`
    """

    def __init__(self, app, conf, batches):
        self._app = app
        self._limit = conf['max_get_ranges']
        self._batches = batches
        # Their own, so that batches are not refused for them.
        self._slots = running.Slots(conf['max_batches'])
        self._is_harmless = None

    def __call__(self, env, start_response):
        try:
            wanted = parse(env, self._limit)
            found = names(env)
            self._check()
        except partial.NotHere:
            return self._app(env, start_response)
        return self._respond(env, start_response, wanted, found)

    def _check(self):
        """See who else has a say; not until the whole pipeline is there."""
        if self._is_harmless is None:
            self._is_harmless = is_harmless(self._app)
            if not self._is_harmless:
                self._batches.logger.info(
                    'GETs of several ranges are left to Swift: not all '
                    'filters right of batch_read are known')
        if not self._is_harmless:
            raise partial.NotHere('an unknown filter')

    def _respond(self, env, start_response, wanted, found):
        writer, body = partial.ByteRanges(env), None
        try:
            body, policy = self._open(env, wanted, found, writer)
            body.begin()
        except partial.NotHere as exc:
            self._batches.logger.debug('A GET is left to Swift: %s', exc)
        except (Exception, eventlet.Timeout):
            self._batches.logger.exception('A GET is left to Swift')
        except BaseException:
            if body is not None:
                body.discard()
            raise
        else:
            # The filters to the left log it, as proxy-server has it.
            env[_POLICY] = str(int(policy))
            start_response(writer.status, writer.headers)
            return body
        if body is not None:
            body.discard()
        return self._app(env, start_response)

    def _open(self, env, wanted, found, writer):
        """The answer, of which nothing is there yet, and the policy."""
        version, account, *name = found
        rights = access.Access(env, self._app, version, account)
        policy = container(env, self._app, rights, name)
        slot = self._slots.take()
        if slot is None:
            raise partial.NotHere('too many at once')
        try:
            body = self._batches.open(
                rights, [entries.Entry(0, *name, tuple(wanted))], {}, writer,
                slot, 'gets', OnlyTheRest)
        except BaseException:
            slot.give_back()
            raise
        return body, policy
