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

"""The headers of an object, as the object server gives them in a GET."""

import json

from swift.common.request_helpers import is_object_transient_sysmeta
from swift.common.request_helpers import is_sys_or_user_meta
from swift.common.swob import Response
from swift.common.utils import Timestamp

_LIMIT = 64 * 1024  # bytes of JSON; a frame has room for the parts as well


def of(controller, disk_file):
    """The headers that tell of an object, and not of an answer.

    :param controller: Swift's ObjectController
    :param disk_file: a DiskFile, open
    :returns: dict; empty if they are too much for a frame
    """
    metadata = disk_file.get_metadata()
    changed = Timestamp(metadata['X-Timestamp'])
    response = Response()
    response.headers['Content-Type'] = metadata.get(
        'Content-Type', 'application/octet-stream')
    for name, value in metadata.items():
        if (is_sys_or_user_meta('object', name)
                or is_object_transient_sysmeta(name)
                or name.lower() in controller.allowed_headers):
            response.headers[name] = value
    response.etag = metadata['ETag']
    response.last_modified = changed
    if 'Content-Encoding' in metadata:
        response.headers['Content-Encoding'] = metadata['Content-Encoding']
    response.headers['X-Timestamp'] = changed.normal
    response.headers['X-Backend-Timestamp'] = changed.internal
    response.headers['X-Backend-Data-Timestamp'] = (
        disk_file.data_timestamp.internal)
    if disk_file.durable_timestamp:
        response.headers['X-Backend-Durable-Timestamp'] = (
            disk_file.durable_timestamp.internal)
    found = dict(response.headers)
    found.pop('Content-Length', None)
    return found if len(json.dumps(found)) <= _LIMIT else {}
