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

"""Conditions of requests, such as If-Match: what Swift makes of them.

swob judges them, as it does in the object server, so that what it makes of
lists, of weak or malformed tags and of dates is the same.
"""

from swift.common.request_helpers import resolve_etag_is_at_header
from swift.common.swob import Request
from swift.common.swob import Response

HEADERS = ('HTTP_IF_MATCH', 'HTTP_IF_NONE_MATCH', 'HTTP_IF_MODIFIED_SINCE',
           'HTTP_IF_UNMODIFIED_SINCE')


def judge(env, version):
    """What becomes of a request that may have conditions.

    :param env: WSGI environment of the request
    :param version: the :class:`~versions.Version` that there is
    :returns: None if it meets them, else 304 or 412
    """
    if not any(name in env for name in HEADERS):
        return None
    req = Request(env)
    # With it, slo and s3api name the header that has the etag for them.
    etag = resolve_etag_is_at_header(req, dict(version.headers))
    return Response(
        request=req, headers=version.headers, conditional_response=True,
        conditional_etag=etag)._get_conditional_response_status()
