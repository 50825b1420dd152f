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
"""Filter of the proxy: blocks of objects, kept near the clients.

Ordinary GETs, whole or of a range, of native and of S3 clients are answered
from aligned blocks in RAM, and on disk if one likes. It has its place right of
all that makes several reads of one, so that each of them is authorised as it
is without the cache::

    [pipeline:main]
    pipeline = catch_errors gatekeeper healthcheck proxy-logging cache
        s3api tempauth copy slo dlo versioned_writes symlink block_cache
        proxy-logging proxy-server

    [filter:block_cache]
    use = egg:ai-factory-plugins#block_cache

=================  =========  =================================================
option             default    meaning
=================  =========  =================================================
block_size         262144     bytes of a block
ram_bytes          268435456  bytes that a process keeps in RAM
disk_path                     directory for blocks on disk; none without it
disk_bytes         0          bytes that a process keeps there
max_read           8388608    bytes of a request from which on Swift answers
max_pending        268435456  bytes of RAM for answers on their way to clients;
                              more go past the cache
max_age            10         seconds after which Swift is asked whether an
                              object is still the same
without_memcached  bypass     what is done while memcached does not answer:
                              ``bypass``, or trust for ``max_age``
readahead          1048576    bytes to be ahead of who reads from front to back
patience           60         seconds to wait for another's read of a block
debug_header       false      whether X-Block-Cache tells what became of a GET
=================  =========  =================================================

A container with ``X-Container-Meta-Block-Cache: off`` is left alone. See
``doc/source/admin/swift-cache.rst``.
"""

import contextlib
import time

import eventlet
from eventlet import tpool
from swift.common.http import is_success
from swift.common.registry import get_swift_info
from swift.common.registry import register_swift_info
from swift.common.utils import config_true_value
from swift.common.utils import get_logger
from swift.common.wsgi import WSGIContext
from swift.proxy.controllers.base import get_container_info

from ai_factory_plugins.swift.cache import access
from ai_factory_plugins.swift.cache import answer
from ai_factory_plugins.swift.cache import backend
from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import checks
from ai_factory_plugins.swift.cache import conditions
from ai_factory_plugins.swift.cache import disk
from ai_factory_plugins.swift.cache import door
from ai_factory_plugins.swift.cache import flights
from ai_factory_plugins.swift.cache import green
from ai_factory_plugins.swift.cache import objects
from ai_factory_plugins.swift.cache import readahead
from ai_factory_plugins.swift.cache import settings
from ai_factory_plugins.swift.cache import store

NAME = 'block_cache'
ADVERTISED = ('block_size', 'max_read', 'max_age')
_META = 'block-cache'
_WRITES = frozenset(('PUT', 'POST', 'DELETE'))
# After these, an object is as it was.
_REFUSED = frozenset((400, 401, 403, 405, 411, 412, 413))


class BlockCache:
    """The filter.

    :param app: the next in the pipeline
    :param conf: dict of options, as :func:`settings.read` returns them
    :param logger: a logger of Swift's
    """

    def __init__(self, app, conf, logger):
        self.app = app
        self.conf = conf
        self.logger = logger
        self._disk = None
        if conf['disk_path']:
            self._disk = self._make_disk()
        self._store = store.Store(
            conf['block_size'],
            conf['ram_bytes'] - int(conf['ram_bytes'] * settings.RECORDS),
            self._disk, eventlet.spawn_n, green.Event, conf['patience'])
        self._objects = objects.Objects(
            app, conf, self._store, green.Event,
            checks.Checks(lambda: self._pipeline_final_app, logger).same,
            eventlet.spawn_n, eventlet.sleep, logger, self._disk is not None)
        self._readers = readahead.Readers(conf['readahead'])
        self._pending = 0
        self._evictions = 0
        self._has_s3_acl = None

    def _make_disk(self):
        if green.may_encrypt(self.app):
            self.logger.error(
                'There is no tier on disk: what stands right of %s may '
                'decrypt, or is not known', NAME)
            return None
        return disk.Tier(self.conf['disk_path'], self.conf['disk_bytes'],
                         tpool.execute, self.logger)

    def __call__(self, env, start_response):
        method = env['REQUEST_METHOD']
        if method == 'GET':
            key = door.object_key(env)
            if key is not None:
                return self._get(env, start_response, key)
        elif method in _WRITES:
            key = door.object_key(env)
            if key is not None:
                return self._write(env, start_response, key)
        return self.app(env, start_response)

    def _write(self, env, start_response, key):
        """Let a write happen, and tell of it before the client is told."""
        context, status = WSGIContext(self.app), None
        try:
            iterator = context._app_call(env)
            status = context._get_status_int()
        finally:
            if status not in _REFUSED:
                self._objects.written(
                    env, key, status is not None and is_success(status),
                    env['REQUEST_METHOD'] != 'POST')
        start_response(context._response_status, context._response_headers,
                       context._response_exc_info)
        return iterator

    def _get(self, env, start_response, key):
        begun, found = time.time(), None
        try:
            found = self._find(env, key)
        except (backend.NotReadable, flights.FlightFailed,
                store.Cancelled) as exc:
            # The object may have changed; what Swift says, counts.
            self.logger.debug('Past the cache: %s: %s', key, exc)
            self._objects.forget(key)
        except (Exception, eventlet.Timeout):
            self.logger.exception('Past the cache: %s', key)
            self._objects.forget(key)
        if found is None:
            self.logger.increment('bypassed')
            return self._pass(env, start_response)
        status, headers, body, how = found
        if self.conf['debug_header']:
            headers.append((answer.HEADER, how))
        self._count(how, headers, begun)
        start_response(status, headers)
        return body

    def _pass(self, env, start_response):
        if not self.conf['debug_header']:
            return self.app(env, start_response)

        def marked(status, headers, exc_info=None):
            return start_response(
                status, [*headers, (answer.HEADER, 'bypass')], exc_info)
        return self.app(env, marked)

    def _find(self, env, key):
        """Answer a GET.

        :returns: (status, headers, body, what became of it), or None if it
            has to go past the cache
        """
        wanted = door.wanted(env, key)
        if wanted is None or self._is_excluded(env):
            return None
        info = get_container_info(env, self.app, swift_source=backend.SOURCE)
        if (not is_success(info['status']) or self._is_off(info)
                or not door.agrees_on_policy(env, info)
                or not access.is_allowed(env, info['read_acl'])):
            return None
        self._open_disk()
        with self._reserved(self._most(wanted)) as has_room:
            if not has_room:
                self.logger.increment('crowded')
                return None
            version, has_read = self._objects.find(
                env, key, wanted, int(info['storage_policy']))
        if version is None:
            return None
        verdict = conditions.judge(env, version)
        if verdict == 304 and door.has_replicas(info):
            door.note_policy(env, info)
            return (*answer.unchanged(version), 'miss' if has_read else 'hit')
        if verdict is not None:
            # The client may know of a version that is newer than this one;
            # and with erasure codes, Swift says it in other words.
            return None
        what = wanted.of(version)
        extent = blocks.resolve(what, version.size)
        if extent is None or extent.length > self.conf['max_read']:
            return None
        door.note_policy(env, info)
        return self._answer(env, key, version, extent, what is not None,
                            has_read)

    def _most(self, wanted):
        """The most bytes that looking for an object can take."""
        guess = blocks.guess(
            wanted.range, self.conf['block_size'], self.conf['max_read'])
        return guess.length if guess else 0

    @contextlib.contextmanager
    def _reserved(self, cost):
        """Bytes of RAM for what is on its way.

        :returns: whether there is room for them
        """
        if self._pending + cost > self.conf['max_pending']:
            yield False
            return
        self._pending += cost
        try:
            yield True
        finally:
            self._pending -= cost

    def _is_excluded(self, env):
        """Whether Swift checks more than the container's rights."""
        if self._has_s3_acl is None:
            # Not until the whole pipeline is there.
            self._has_s3_acl = config_true_value(
                get_swift_info().get('s3api', {}).get('s3_acl', False))
        if self._has_s3_acl and (env.get('swift.source') == 'S3'
                                 or env.get('swift.authorize_override')):
            return True
        return bool(self._pipeline_final_app.deny_host_headers)

    @staticmethod
    def _is_off(info):
        value = info.get('meta', {}).get(_META)
        return value is not None and not config_true_value(value)

    def _open_disk(self):
        """Open the tier on disk, in the process that will use it."""
        if self._disk is None or self._disk.is_open:
            return
        tier, self._disk = self._disk, None
        eventlet.spawn_n(self._opened, tier)

    def _opened(self, tier):
        try:
            tier.open()
            self.logger.info('%d blocks, %d bytes are on disk in %s',
                             len(tier), tier.cost, self.conf['disk_path'])
        except OSError as exc:
            self.logger.error('There is no tier on disk: %s', exc)

    def _answer(self, env, key, version, extent, partial, has_read):
        def read(part):
            self.logger.increment('fills')
            return backend.read(env, self.app, key, part, version)

        with contextlib.ExitStack() as stack:
            numbers = blocks.numbers(extent, self.conf['block_size'])
            if not stack.enter_context(self._reserved(
                    len(numbers) * self.conf['block_size'])):
                self.logger.increment('crowded')
                return None
            ahead = self._readers.note(version.key, extent, version.size)
            found, count = self._store.get(version, numbers, read)
            reader = _Reader(stack.pop_all())
        if ahead is not None:
            self._read_ahead(version, ahead, read, reader)
        body = answer.Body(
            extent, found, self.conf['block_size'], reader.closed,
            eventlet.sleep)
        status, headers = answer.head(version, extent, partial)
        if count == len(numbers) or has_read and len(numbers) == 1:
            return status, headers, body, 'miss'
        how = 'partial' if count or has_read else 'hit'
        return status, headers, body, how

    def _read_ahead(self, version, ahead, read, reader):
        numbers = blocks.numbers(blocks.Extent(*ahead),
                                 self.conf['block_size'])
        eventlet.spawn_n(self._ahead, version, numbers, read, reader,
                         self.logger.thread_locals)

    def _ahead(self, version, numbers, read, reader, thread_locals):
        self.logger.thread_locals = thread_locals
        try:
            with self._reserved(
                    len(numbers) * self.conf['block_size']) as has_room:
                if not has_room or reader.is_gone:
                    return
                self._store.read_ahead(
                    version, numbers, read, lambda: reader.is_gone)
                self.logger.increment('readaheads')
        except (backend.NotReadable, flights.FlightFailed) as exc:
            self.logger.debug('Not read ahead: %s', exc)
        except store.Cancelled:
            self.logger.increment('cancelled')
        except (Exception, eventlet.Timeout):
            self.logger.exception('Reading ahead has failed')

    def _count(self, how, headers, begun):
        """Tell statsd of an answer."""
        self.logger.increment({
            'hit': 'hits', 'partial': 'partial', 'miss': 'misses'}[how])
        self.logger.update_stats('bytes', int(dict(headers)['Content-Length']))
        self.logger.timing_since(f'{how}.timing', begun)
        evictions = self._store.evictions
        if evictions != self._evictions:
            self.logger.update_stats('evictions', evictions - self._evictions)
            self._evictions = evictions


class _Reader:
    """Who takes an answer.

    :param held: what is to be closed when the client has all, or has gone
    """

    def __init__(self, held):
        self._held = held
        self.is_gone = False

    def closed(self, complete):
        self.is_gone = not complete
        self._held.close()


def filter_factory(global_conf, **local_conf):
    """The filter, as paste wants it."""
    conf = {**global_conf, **local_conf}
    values = settings.read(local_conf)
    register_swift_info(NAME, **{name: values[name] for name in ADVERTISED})
    logger = get_logger(
        conf, log_route='block-cache', statsd_tail_prefix='block-cache')

    def factory(app):
        return BlockCache(app, values, logger)
    return factory
