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

"""The files in which Swift keeps objects."""

import contextlib
import hashlib
import os
import pathlib


def directories(swift, container, name):
    """Directories of the replicas of an object, by name of the server.

    :param swift: a :class:`~cloud.services.swift.Swift`
    :returns: dict of (server, device) to path
    """
    hashed = hashlib.md5(
        f'cloud/AUTH_test/{container}/{name}cloud'.encode(),
        usedforsecurity=False).hexdigest()
    found = {}
    for number in range(swift.settings.object_servers):
        server = swift.object_server(number)
        for path in swift.devices(server).glob(
                f'*/objects*/*/{hashed[-3:]}/{hashed}'):
            found[server, path.parts[-5]] = path
    return found


def read_replicas(swift, container, name):
    """Those of the replicas whose files an object server has open.

    :returns: dict as :func:`directories` returns it
    """
    found = {}
    for (server, device), path in directories(swift, container, name).items():
        for link in pathlib.Path(f'/proc/{swift.pid(server)}/fd').iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path in pathlib.Path(os.readlink(link)).parents:
                    found[server, device] = path
    return found
