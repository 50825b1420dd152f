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

"""Batches in other formats, as strangers' readers see them."""

import email
import email.policy
import io
import json
import tarfile


def ask(user, wanted, container, query='', **headers):
    """The answer to a batch, which has to be one."""
    response = user.post_batch(wanted, container, query, **headers)
    assert response.status == 200, response
    return response


def members(body):
    """What tarfile makes of an archive that it can read but once.

    :returns: list of (name, comment, data)
    """
    found = []
    with tarfile.open(fileobj=io.BytesIO(body), mode='r|') as archive:
        for member in archive:
            assert member.isreg()
            comment = member.pax_headers.get('comment')
            found.append((
                member.name, comment and json.loads(comment),
                archive.extractfile(member).read()))
    return found


def whole(body):
    """The members of an archive that says that it is whole."""
    *found, (name, _, text) = members(body)
    assert name == '__batch_read_end__'
    return found, json.loads(text)


def parts(response):
    """What Python's reader of mail makes of a multipart message."""
    message = email.message_from_bytes(
        b'Content-Type: ' + response.headers['content-type'].encode()
        + b'\r\n\r\n' + response.body, policy=email.policy.HTTP)
    assert not message.defects
    found = message.get_payload()
    assert not any(part.defects for part in found)
    return found


def body(part):
    """The bytes of a part, which the reader has taken for text."""
    return part.get_payload(decode=True)
