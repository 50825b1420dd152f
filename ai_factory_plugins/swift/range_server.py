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

"""Filter of the object server: many ranges of many objects in one request.

It has its place next to the object server itself::

    [pipeline:main]
    pipeline = healthcheck recon range_server object-server

    [filter:range_server]
    use = egg:ai-factory-plugins#range_server

Requests with the method ``READV``, which the filter ``batch_read`` of the
proxy sends, are answered here; all others go through. Objects are opened as
the object server opens them, so that deleted, expired and quarantined ones
are not read. What is not stored as clients see it (segmented, encrypted and
erasure-coded objects, links) is refused; the proxy then reads the segments, or
in the ordinary way.

=================  =========  ================================================
option             default    meaning
=================  =========  ================================================
max_body           8388608    bytes that a request may have
max_open           64         objects that one request may have open at once
known_objects      10000      objects that a process remembers to be readable,
                              about 1.5 KiB each; 0 for none
window             524288     bytes that are read before they are sent; one
                              request takes about three times as much memory
coalesce_gap       16384      bytes between two ranges of one object that are
                              read in vain to save a read
keep_cache         true       whether what is read stays in the page cache
log_requests       true       a line for each request
=================  =========  ================================================
"""

import time

from swift.common.swob import HTTPBadRequest
from swift.common.swob import HTTPMethodNotAllowed
from swift.common.swob import HTTPRequestEntityTooLarge
from swift.common.swob import Request
from swift.common.swob import Response
from swift.common.utils import config_true_value
from swift.common.utils import CooperativeIterator
from swift.common.utils import get_logger

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import disk
from ai_factory_plugins.swift import known
from ai_factory_plugins.swift import options
from ai_factory_plugins.swift import window

OPTIONS = {
    'max_body': options.Number(8 * options.MIB, 1024, 256 * options.MIB),
    'max_open': options.Number(64, 1, 4096),
    'known_objects': options.Number(10000, 0, 10000000),
    'window': options.Number(512 * options.KIB, 4096, 64 * options.MIB),
    'coalesce_gap': options.Number(16 * options.KIB, 0, options.MIB),
    'keep_cache': options.Flag(True),
    'log_requests': options.Flag(True),
}


class RangeServer:
    """The filter.

    :param app: the next in the pipeline
    :param conf: dict of options, as :func:`options.read` returns them
    :param logger: a logger of Swift's
    """

    def __init__(self, app, conf, logger):
        self.app = app
        self.conf = conf
        self.logger = logger
        self._known = known.KnownObjects(conf['known_objects'])

    def __call__(self, env, start_response):
        if env['REQUEST_METHOD'] != backend.METHOD:
            return self.app(env, start_response)
        req = Request(env)
        self.logger.txn_id = req.headers.get('x-trans-id')
        return self._answer(req)(env, start_response)

    def _answer(self, req):
        controller = self._pipeline_final_app
        if 'GET' not in controller.allowed_methods:
            # A server for replication only.
            return HTTPMethodNotAllowed(request=req)
        body = req.environ['wsgi.input'].read(self.conf['max_body'] + 1)
        if len(body) > self.conf['max_body']:
            return HTTPRequestEntityTooLarge(request=req)
        try:
            targets, reads = backend.load(body)
        except backend.MessageError as exc:
            return HTTPBadRequest(request=req, body=str(exc))
        self.logger.increment('batches')
        self.logger.update_stats('entries', len(reads))
        return Response(
            request=req, content_type=frames.CONTENT_TYPE,
            app_iter=CooperativeIterator(
                self._stream(controller, targets, reads, config_true_value(
                    req.headers.get(backend.WITH_HEADERS))), period=2))

    def _stream(self, controller, targets, reads, with_headers):
        started = time.time()
        uses = [0] * len(targets)
        for item in reads:
            uses[item.target] += 1
        objects = disk.OpenObjects(
            controller, targets, uses, self.conf['max_open'],
            self.conf['keep_cache'], self._known)
        reader = window.Reader(objects, self.conf, self._failed)
        if with_headers:
            reader.tell_headers(controller, targets, self._known)
        try:
            for chunk in reader.frames(reads):
                yield chunk
        finally:
            objects.close()
            if self.conf['log_requests']:
                self.logger.info(
                    '%s %d of %d entries, %d objects, %d bytes, %.4f s',
                    backend.METHOD, reader.entries, len(reads), len(targets),
                    reader.bytes, time.time() - started)

    def _failed(self, reason):
        """Note that reading failed, in a way that nobody has foreseen."""
        self.logger.exception('ERROR %s: %s', backend.METHOD, reason)


def filter_factory(global_conf, **local_conf):
    """The filter, as paste wants it."""
    conf = {**global_conf, **local_conf}
    values = options.read(OPTIONS, local_conf)
    logger = get_logger(
        conf, log_route='range-server',
        statsd_tail_prefix='range-server')

    def factory(app):
        return RangeServer(app, values, logger)
    return factory
