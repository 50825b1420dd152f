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


"""Which NICs to give to a server along with its GPUs, for GPUDirect RDMA.

A NIC reaches the memory of a GPU without a detour through the processor if
both are below one PCIe switch (``PIX`` and ``PXB`` in ``nvidia-smi topo -m``);
the fewer switches are in between, the better.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Nics:
    """NICs for a set of GPUs.

    :param keys: the NICs, as many as were asked for; the key of a NIC that
        has several virtual functions may come several times
    :param apart: how many of them are not below a switch of any of the GPUs
    """

    keys: tuple[str, ...]
    apart: int


def choose(gpus, nics, count):
    """The NICs that are nearest to a set of GPUs.

    They are spread over the GPUs: none gets a second one before each has got
    one, as far as the switches allow it.

    :param gpus: the :class:`~ai_factory_plugins.topology.model.Device` s
    :param nics: the free NICs, as dict of
        :class:`~ai_factory_plugins.topology.model.Device` to how many virtual
        functions are left of it (1 for a NIC as a whole)
    :param count: how many NICs are asked for, at least 1
    :returns: a :class:`Nics`, or None if there are not as many
    """
    if sum(nics.values()) < count:
        return None
    left = dict(nics)
    keys = []
    while len(keys) < count:
        found = _one_each(gpus, left, count - len(keys))
        if not found:
            break
        keys.extend(found)
    near = len(keys)
    nodes = {gpu.numa_node for gpu in gpus}
    for nic in sorted(left, key=lambda nic: nic.numa_node not in nodes):
        take = min(left[nic], count - len(keys))
        keys.extend([nic.key] * take)
    return Nics(tuple(keys), count - near)


def _one_each(gpus, left, limit):
    """One NIC for each GPU that has one below its switches.

    The pairs with most switches in common go first. As switches form a tree,
    no other order finds more pairs.
    """
    pairs = sorted(
        ((_common(gpu.switches, nic.switches), i, nic)
         for i, gpu in enumerate(gpus) for nic in left),
        key=lambda pair: (-pair[0], pair[1]))
    served, found = set(), []
    for common, i, nic in pairs:
        if len(found) == limit or not common:
            break
        if i not in served and left[nic]:
            served.add(i)
            left[nic] -= 1
            found.append(nic.key)
    return found


def _common(one, other):
    """Number of switches that two paths have in common, from outside."""
    for i, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return i
    return min(len(one), len(other))
