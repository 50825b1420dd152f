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
"""Whether a request may read an object: what proxy-server does, here."""

from swift.common.swob import Request


def is_allowed(env, read_acl):
    """Whether Swift would let a GET read.

    :param env: the WSGI environment of the request; comes out as it was, but
        for what the authorizer itself notes in it
    :param read_acl: of the container
    """
    authorize = env.get('swift.authorize')
    if authorize is None:
        return True
    # As proxy-server does: first without the ACL, which not all need.
    req = Request(env)
    if authorize(req) is None:
        return True
    before = env.get('swob.ACL')
    try:
        req.acl = read_acl
        return authorize(req) is None
    finally:
        if before is None:
            env.pop('swob.ACL', None)
        else:
            env['swob.ACL'] = before
