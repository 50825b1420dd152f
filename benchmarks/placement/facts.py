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


"""Which sets of a board's GPUs are valid, told from the board's own facts.

The judge of a placement must not be the code that is judged: this module
reads the facts of a board (:mod:`ai_factory_plugins.testing.boards`) and uses
nothing of :mod:`ai_factory_plugins.topology`. GPUs are numbered in the order
of their PCI addresses, and a set of them is an integer with their bits.
"""

import itertools

from ai_factory_plugins.testing import boards


class Facts:
    """The valid sets of one board.

    :param name: name of the board
    :ivar count: GPUs of the board
    :ivar whole: the set of all of them
    :ivar numa_nodes: NUMA node of each GPU
    :ivar valid: the valid sets: exactly the GPUs of one Fabric Manager
        partition or, on a board without, one GPU or any that one NVLink
        bridge joins
    :raises ValueError: the board has neither partitions nor bridges
    """

    def __init__(self, name):
        spec = boards.load(name)
        if not spec.partitions and not spec.bridges:
            raise ValueError(f'nothing is known of the NVLinks of {name}')
        order = sorted(range(len(spec.gpus)),
                       key=lambda i: spec.gpus[i]['address'])
        gpus = [spec.gpus[i] for i in order]
        self.name = name
        self.count = len(gpus)
        self.whole = (1 << self.count) - 1
        self.numa_nodes = tuple(gpu['numa_node'] for gpu in gpus)
        if spec.partitions:
            places = {gpu['module_id']: i for i, gpu in enumerate(gpus)}
            found = [[places[module] for module in partition['modules']]
                     for partition in spec.partitions]
        else:
            places = {old: new for new, old in enumerate(order)}
            found = [[place] for place in range(self.count)]
            found += [
                [places[i] for i in members] for bridge in spec.bridges
                for size in range(2, len(bridge) + 1)
                for members in itertools.combinations(bridge, size)]
        self.valid = frozenset(map(mask_of, found))
        self._stranded = {}

    def sets(self, size, free):
        """Valid sets of a size that are wholly free, in ascending order."""
        return sorted(mask for mask in self.valid
                      if mask.bit_count() == size and mask & free == mask)

    def fits(self, size, free):
        """Whether a job of this size can get a valid set."""
        return any(mask.bit_count() == size and mask & free == mask
                   for mask in self.valid)

    def numa_span(self, mask):
        """How many NUMA nodes the GPUs of a set are of."""
        return len({self.numa_nodes[i] for i in places_of(mask)})

    def fragments(self, shares, free):
        """Free GPUs of one host that the typical job cannot use.

        The measure of FGD (Weng et al., "Beware of Fragmentation", ATC '23)
        with valid sets in the place of amounts: the sum over sizes m of the
        share of jobs that ask for m, times the free GPUs that are in no
        wholly free valid set of m.

        :param shares: dict of size to share of jobs
        :param free: the free GPUs of the host
        :returns: GPUs, from 0 to the number of those that are free
        """
        total = 0.0
        for size, share in shares.items():
            if (size, free) not in self._stranded:
                usable = 0
                for mask in self.sets(size, free):
                    usable |= mask
                self._stranded[size, free] = (free & ~usable).bit_count()
            total += share * self._stranded[size, free]
        return total


def mask_of(places):
    """The set with the GPUs at these places."""
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def places_of(mask):
    """The places of the GPUs of a set, in ascending order."""
    return [i for i in range(mask.bit_length()) if mask >> i & 1]
