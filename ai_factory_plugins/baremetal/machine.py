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

"""What an inspected machine has."""

import collections
import dataclasses


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU of a machine; None stands for what the source does not tell.

    :param vendor_id: four hexadecimal digits in lower case, or None
    :param product_id: four hexadecimal digits in lower case, or None
    :param vendor: name of the vendor in upper case
    :param model: name of the model in upper case, or None if it is unknown
    :param memory_gib: memory in GiB
    :param address: PCI address as sysfs names it
    :param numa_node: NUMA node
    :param link_width: PCIe lanes that the link has now
    :param nvlinks: NVLinks that are up
    """

    vendor_id: str | None
    product_id: str | None
    vendor: str
    model: str | None = None
    memory_gib: int | None = None
    address: str | None = None
    numa_node: int | None = None
    link_width: int | None = None
    nvlinks: int | None = None

    @property
    def kind(self):
        """What tells this GPU from those of another model."""
        return self.model or f'{self.vendor_id}:{self.product_id}'

    @property
    def label(self):
        """How people are told which one it is."""
        return self.address or self.kind


@dataclasses.dataclass(frozen=True)
class Machine:
    """The GPUs of a machine.

    :param gpus: tuple of :class:`Gpu`
    :param source: what told it, one of
        :data:`ai_factory_plugins.baremetal.sources.NAMES`
    :param nvlink: whether NVLink joins GPUs of it
    :param nvswitch: whether NVSwitches join them
    :param mig: whether each GPU can be cut into MIG instances
    """

    gpus: tuple
    source: str
    nvlink: bool = False
    nvswitch: bool = False
    mig: bool = False

    @property
    def kinds(self):
        """How many GPUs there are of each kind: a Counter."""
        return collections.Counter(gpu.kind for gpu in self.gpus)

    @property
    def memory_gib(self):
        """Memory of each GPU in GiB if all have the same, or None."""
        sizes = {gpu.memory_gib for gpu in self.gpus}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def mixed(self):
        """Whether the GPUs are of several models."""
        return len(self.kinds) > 1

    @property
    def numa_balanced(self):
        """Whether the GPUs are spread evenly over two or more NUMA nodes."""
        nodes = collections.Counter(gpu.numa_node for gpu in self.gpus)
        return (None not in nodes and len(nodes) > 1
                and len(set(nodes.values())) == 1)

    def summary(self):
        """One line for people: ``8 x H100_SXM5_80GB, NVLink, NVSwitch``."""
        parts = [f'{count} x {kind}'
                 for kind, count in sorted(self.kinds.items())]
        parts += [name for name, has in (
            ('NVLink', self.nvlink), ('NVSwitch', self.nvswitch)) if has]
        return ', '.join(parts) or 'no GPUs'
