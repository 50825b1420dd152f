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

"""GETs of a range of an object, if it is still the same object (If-Range).

Swift does not look at ``If-Range``, and gives the range of whatever is there,
so that a client that goes on with a download may put two objects together.
"""

from swift.common.swob import normalize_etag
from swift.common.utils import close_if_possible
from swift.common.utils import drain_and_close
from swift.common.utils import split_path
from swift.common.wsgi import WSGIContext


def concerns(env):
    """Whether a request is one of those.

    Not those of S3, whose etags are not always Swift's.
    """
    if (env['REQUEST_METHOD'] != 'GET' or 'HTTP_IF_RANGE' not in env
            or 'HTTP_RANGE' not in env or env.get('swift.source') == 'S3'):
        return False
    try:
        split_path(env['PATH_INFO'], 4, 4, True)
    except ValueError:
        return False
    return True


def respond(app, env, start_response):
    """Answer with the range, or with the whole object if it is another.

    :param app: the application that knows objects
    """
    whole = dict(env)
    del whole['HTTP_RANGE']
    context = WSGIContext(app)
    body = context._app_call(env)
    status = context._response_status[:3]
    if status in ('206', '416') and not _is_same(
            env['HTTP_IF_RANGE'], context._response_header_value('etag')):
        (close_if_possible if status == '206' else drain_and_close)(body)
        # It may be yet another object by now, which does not matter.
        return app(whole, start_response)
    start_response(context._response_status, context._response_headers,
                   context._response_exc_info)
    return body


def _is_same(wanted, found):
    """Whether an object is the one that a client knows.

    RFC 9110, section 13.1.5: weak etags never match. Nor do dates here: two
    versions of an object may be of the same second.

    :param wanted: value of If-Range
    :param found: etag of the object, quoted or not, or None
    """
    return bool(found) and normalize_etag(wanted.strip()) == normalize_etag(
        found)
