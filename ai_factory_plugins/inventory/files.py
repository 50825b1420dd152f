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


"""Files that hold what a tool printed."""

import pathlib

from ai_factory_plugins.inventory import errors

#: The longest real one, ``nvidia-smi -q`` of 16 GPUs, has about 200 KiB.
MAX_BYTES = 4 * 1024 * 1024


def read_text(path):
    """The text of a file.

    :param path: its path
    :raises InventoryError: it cannot be read or is too long
    """
    try:
        with pathlib.Path(path).open('rb') as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise errors.InventoryError(f'{path}: {exc.strerror}') from exc
    if len(data) > MAX_BYTES:
        raise errors.InventoryError(f'{path}: more than {MAX_BYTES} bytes')
    return data.decode(errors='replace')
