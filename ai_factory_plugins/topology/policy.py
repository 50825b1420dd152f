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


"""What a flavor asks of the topology of its GPUs."""

import dataclasses

from ai_factory_plugins.topology import model

#: Flavor extra spec: how tightly the GPUs are to be joined.
TOPOLOGY = 'ai_factory:gpu_topology'
#: Flavor extra spec: what to do where no such GPUs are free.
TOPOLOGY_POLICY = 'ai_factory:gpu_topology_policy'
#: Flavor extra spec: whether NICs are below the PCIe switches of the GPUs.
NIC_AFFINITY = 'ai_factory:gpu_nic_affinity'

LEVELS = {
    'nvlink': model.Level.NVLINK,
    'pcie': model.Level.PCIE,
    'numa': model.Level.NUMA,
    'any': model.Level.HOST,
}
POLICIES = ('required', 'preferred')


class PolicyError(ValueError):
    """An extra spec has a value that it cannot have."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a flavor asks for.

    :param level: the GPUs are joined at this level or tighter
    :param required: no GPUs rather than GPUs that are joined more loosely
    :param nics: what is asked of the NICs: ``required`` or ``preferred`` that
        each is below a PCIe switch of one of the GPUs, or None
    """

    level: model.Level
    required: bool = True
    nics: str | None = None

    @property
    def loosest(self):
        """The loosest level that will do."""
        return self.level if self.required else model.Level.HOST

    @property
    def needs_tags(self):
        """Whether a host that says nothing about its GPUs cannot serve it."""
        return self.required and self.level <= model.Level.PCIE

    def __str__(self):
        name = next(k for k, v in LEVELS.items() if v == self.level)
        text = f'{name} ({"required" if self.required else "preferred"})'
        return text if self.nics is None else f'{text}, NICs {self.nics}'


def parse(extra_specs):
    """Read the policy of a flavor.

    :param extra_specs: mapping of extra spec to text
    :returns: a :class:`Policy`, or None where the flavor asks for nothing
    :raises PolicyError: a value is not one of those documented, or one of
        the others is set without a topology
    """
    topology = _value(extra_specs, TOPOLOGY, LEVELS)
    policy = _value(extra_specs, TOPOLOGY_POLICY, POLICIES)
    nics = _value(extra_specs, NIC_AFFINITY, POLICIES)
    if topology is None:
        for name in (TOPOLOGY_POLICY, NIC_AFFINITY):
            if name in extra_specs:
                raise PolicyError(f'{name} is set without {TOPOLOGY}')
        return None
    return Policy(LEVELS[topology], policy != 'preferred', nics)


def _value(extra_specs, name, allowed):
    value = extra_specs.get(name)
    if value is not None and value not in allowed:
        raise PolicyError(
            f'{name}={value!r:.80} is not one of {", ".join(allowed)}')
    return value
