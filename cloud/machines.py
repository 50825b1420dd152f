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

"""Whole machines that are not there."""

import dataclasses
import pathlib
import shutil
import uuid

from ai_factory_plugins.testing import boards
from ai_factory_plugins.testing import fleet


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine.

    :param board: name of its board, see
        :mod:`ai_factory_plugins.testing.boards`, or None
    :param redfish: whether its BMC, rather than a ramdisk, is asked what it
        has
    """

    board: str | None
    redfish: bool = False


NO_GPUS = boards.BoardSpec('none', '', gpus=[], nics=[
    {'address': '0000:18:00.0', 'id': '15b3:1021', 'numa_node': 0}])
MACHINES = {
    'metal-hgx-1': Machine('hgx-h100'),
    'metal-hgx-2': Machine('hgx-h100', redfish=True),
    'metal-pcie-1': Machine('pcie-bridge-pairs'),
    'metal-mi300x-1': Machine('mi300x-8'),
}


def system(name):
    """The UUID by which a machine's BMC knows it."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def sysfs(cloud, name, machine):
    """The sysfs tree of a machine; written anew.

    :returns: a path
    """
    return fleet.sysfs(
        pathlib.Path(cloud.layout.root, 'boards', name),
        NO_GPUS if machine.board is None else boards.load(machine.board))


def gpus(tree):
    """Where the GPUs of NVIDIA are in a sysfs tree, by address."""
    return sorted(
        (path for path in (tree / 'bus/pci/devices').iterdir()
         if (path / 'class').read_text().startswith('0x0302')),
        key=lambda path: path.name)


def lose_gpu(tree):
    """Let the last GPU of a machine fall off the bus."""
    link = gpus(tree)[-1]
    device = link.resolve()
    link.unlink()
    shutil.rmtree(device)
