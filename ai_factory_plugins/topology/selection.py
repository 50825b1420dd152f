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


"""Which of the free GPUs of one host to give to a request, best first.

The order of preference:

1. *tightest level*: NVLink, one PCIe switch, one NUMA node, the host;
2. *whole before degraded* partitions;
3. *least NVLink damage*: what the set takes away from others, see below;
4. *fewest NUMA nodes* spanned;
5. *least PCIe and NUMA damage*, so that switches and nodes fill up one by one.

Damage is counted a size: a partition of m GPUs that was wholly free and is so
no more costs one m, and an affinity group that could serve a request of m
GPUs and can no more costs one m as well. Losses are compared from the largest
size down, so that a single GPU goes where it breaks the smallest partition,
and a board of eight stays whole as long as anything else will do (the idea of
FGD, Weng et al., "Beware of Fragmentation", ATC '23, on partitions).

GPUs that nothing above tells apart are of one *kind*: only how many of each
kind a set takes is looked at, and which of them it names is the caller's
shuffle. What was found for a pattern of free GPUs is remembered, because the
hosts of a cloud are few models in few states.
"""

import collections
import dataclasses
import functools
import itertools

from ai_factory_plugins.topology import model

Level = model.Level

# No known board of up to 16 GPUs comes near it; a made-up table must not hold
# the scheduler up.
MAX_SETS_PER_LEVEL = 1000
# Patterns of free GPUs whose sets are remembered.
MAX_PATTERNS = 256


class InconsistentTopology(ValueError):
    """The devices contradict each other about what they are members of."""


@dataclasses.dataclass(frozen=True, order=True)
class Cost:
    """What a set costs; sets of one request compare, the lesser is better.

    :param level: how tightly the set is joined
    :param degraded: it is a partition that lacks NVLinks
    :param nvlink: losses as ``((size, count), ...)``, largest size first
    :param numa_span: number of NUMA nodes; unknown ones count as one node
    :param pcie: like ``nvlink``, for groups below one PCIe switch
    :param numa: like ``nvlink``, for NUMA nodes
    """

    level: Level
    degraded: bool
    nvlink: tuple[tuple[int, int], ...]
    numa_span: int
    pcie: tuple[tuple[int, int], ...]
    numa: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Selection:
    """One set of devices for a request.

    :param devices: the devices, in the order in which they were offered
    :param cost: see :class:`Cost`
    :param partition: the partition that joins exactly these devices, or None
    """

    devices: tuple[model.Device, ...]
    cost: Cost
    partition: int | None = None


class FreePool:
    """The free devices of one host.

    :param devices: iterable of :class:`~ai_factory_plugins.topology.model.
        Device` with distinct keys
    :param by_switch: tell GPUs below different PCIe switches apart also where
        nothing else does, because the caller cares for NICs
    :raises InconsistentTopology: two devices have one key, devices disagree
        about the size of a partition or group, or more devices claim to be
        members than it has
    """

    def __init__(self, devices, by_switch=False):
        self.devices = tuple(devices)
        if len({device.key for device in self.devices}) != len(self.devices):
            raise InconsistentTopology('two devices have one key')
        self._pattern = _pattern(tuple(
            (d.numa_node, d.partitions, d.groups,
             d.switches if by_switch else ()) for d in self.devices))

    def partition_sizes(self):
        """How many partitions of each size are wholly free.

        :returns: dict of size to count
        """
        return dict(collections.Counter(
            ref.size for ref in self._pattern.partitions))

    def best(self, count, level=Level.NVLINK, shuffle=None):
        """The sets for a request, best first.

        :param count: number of devices asked for, at least 1
        :param level: the loosest level to offer
        :param shuffle: callable that shuffles a list in place
            (``random.shuffle``), so that parallel requests do not all ask
            for the same set among equals; without it the order is
            deterministic
        :returns: iterator of :class:`Selection`
        """
        if not 1 <= count <= len(self.devices):
            return
        kinds = [list(kind) for kind in self._pattern.kinds]
        for current in Level:
            if current > level:
                return
            ranked = self._pattern.ranked(count, current)
            for cost, equals in itertools.groupby(
                    ranked, key=lambda item: item[0]):
                equals = list(equals)
                if shuffle is not None:
                    shuffle(equals)
                for _, takes in equals:
                    yield self._named(kinds, takes, cost, shuffle)

    def describe(self, keys):
        """How well a given set of the free devices is joined.

        :param keys: keys of free devices, at least one
        :returns: a :class:`Selection`
        :raises KeyError: a key is not that of a free device
        """
        places = {device.key: i for i, device in enumerate(self.devices)}
        return self._selection(_mask(places[key] for key in keys))

    def _named(self, kinds, takes, cost, shuffle):
        mask = 0
        for kind, taken in zip(kinds, takes):
            if taken and taken < len(kind) and shuffle is not None:
                shuffle(kind)
            mask |= _mask(kind[:taken])
        return self._selection(mask, cost)

    def _selection(self, mask, cost=None):
        ref = self._pattern.exact.get(mask)
        return Selection(
            tuple(d for i, d in enumerate(self.devices) if mask >> i & 1),
            cost or self._pattern.cost(mask),
            ref.id if ref is not None else None)


class _Pattern:
    """What can be said of free devices without their names.

    Devices are numbered, and a set of them is an integer with their bits.
    """

    def __init__(self, shapes):
        members = _members(shapes)
        # Wholly free partitions only: the others are of no use to anybody.
        self.partitions = {
            ref: mask for ref, mask in members.items()
            if isinstance(ref, model.PartitionRef)
            and mask.bit_count() == ref.size}
        # Of two names for one set the healthier, then the lower, is used.
        self.exact = {mask: ref for ref, mask in sorted(
            self.partitions.items(), reverse=True,
            key=lambda item: (item[0].degraded, item[0].id))}
        self.partitioned = _mask(
            i for i, (_, partitions, *_) in enumerate(shapes) if partitions)
        nodes = collections.defaultdict(list)
        for i, (numa_node, *_) in enumerate(shapes):
            nodes[numa_node].append(i)
        self.numa = {node: _mask(places) for node, places in nodes.items()}
        self.groups = {
            level: [mask for ref, mask in members.items()
                    if isinstance(ref, model.GroupRef) and ref.level == level]
            for level in (Level.NVLINK, Level.PCIE)}
        kinds = collections.defaultdict(list)
        for i, shape in enumerate(shapes):
            kinds[self._kind(*shape)].append(i)
        self.kinds = tuple(map(tuple, kinds.values()))
        self._ranked = {}

    def _kind(self, numa_node, partitions, groups, switches):
        free = [ref for ref in partitions if ref in self.partitions]
        return (
            numa_node, groups, switches, bool(partitions),
            frozenset(ref for ref in free if ref.size > 1),
            # One's own partitions of one differ from the neighbour's in name.
            tuple(sorted(ref.degraded for ref in free if ref.size == 1)))

    def level(self, mask):
        """How tightly a set is joined."""
        if mask in self.exact:
            return Level.NVLINK
        if mask.bit_count() == 1 and not mask & self.partitioned:
            # One GPU needs nothing that joins it.
            return Level.NVLINK
        for level, groups in self.groups.items():
            if any(mask & group == mask for group in groups):
                return level
        if any(mask & places == mask
               for node, places in self.numa.items() if node is not None):
            return Level.NUMA
        return Level.HOST

    def cost(self, mask):
        """The :class:`Cost` of a set."""
        ref = self.exact.get(mask)
        nvlink = _group_damage(mask, self.groups[Level.NVLINK])
        nvlink.update(
            ref.size for ref, members in self.partitions.items()
            if members & mask and members != mask)
        return Cost(
            level=self.level(mask),
            degraded=ref is not None and ref.degraded,
            nvlink=_largest_first(nvlink),
            numa_span=sum(
                1 for places in self.numa.values() if places & mask),
            pcie=_largest_first(
                _group_damage(mask, self.groups[Level.PCIE])),
            numa=_largest_first(_group_damage(mask, self.numa.values())))

    def ranked(self, count, level):
        """Sets joined at exactly ``level``, best first.

        :returns: list of (:class:`Cost`, how many to take of each kind)
        """
        if (count, level) not in self._ranked:
            found = {}
            for takes in itertools.islice(
                    self._takes(count, level), MAX_SETS_PER_LEVEL):
                mask = 0
                for kind, taken in zip(self.kinds, takes):
                    mask |= _mask(kind[:taken])
                if takes not in found and self.level(mask) == level:
                    found[takes] = self.cost(mask)
            # Among equals the earliest devices go first.
            self._ranked[count, level] = sorted(
                ((cost, takes) for takes, cost in found.items()),
                key=lambda item: (item[0], [-taken for taken in item[1]]))
        return self._ranked[count, level]

    def _takes(self, count, level):
        """Sets that might be joined at ``level``, as numbers a kind."""
        pools = {
            Level.NVLINK: [
                *(mask for mask in self.exact if mask.bit_count() == count),
                *self.groups[Level.NVLINK]],
            Level.PCIE: self.groups[Level.PCIE],
            Level.NUMA: [places for node, places in self.numa.items()
                         if node is not None],
            Level.HOST: [-1],
        }[level]
        if level == Level.NVLINK and count == 1:
            pools.append(~self.partitioned)
        for pool in pools:
            yield from _mixes(
                [(_mask(kind) & pool).bit_count() for kind in self.kinds],
                count)


@functools.lru_cache(maxsize=MAX_PATTERNS)
def _pattern(shapes):
    return _Pattern(shapes)


def _mask(places):
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def _mixes(available, count):
    """Ways to take ``count`` of kinds of which so many are available."""
    if sum(available) < count:
        return
    if not available:
        yield ()
        return
    for taken in range(min(available[0], count), -1, -1):
        for others in _mixes(available[1:], count - taken):
            yield (taken, *others)


def _members(shapes):
    """Who is a member of what, as a dict of reference to set."""
    members = collections.defaultdict(int)
    known = {}
    for i, (_, partitions, groups, _) in enumerate(shapes):
        for ref in (*partitions, *groups):
            name = (getattr(ref, 'level', None), ref.id)
            if known.setdefault(name, ref) != ref:
                raise InconsistentTopology(
                    f'devices disagree: {ref} and {known[name]}')
            members[ref] |= 1 << i
            if members[ref].bit_count() > ref.size:
                raise InconsistentTopology(
                    f'more than {ref.size} devices are members of {ref}')
    return members


def _group_damage(mask, pools):
    """Sizes that pools with any-subset semantics can serve no more."""
    lost = collections.Counter()
    for pool in pools:
        free, taken = pool.bit_count(), (pool & mask).bit_count()
        lost.update(range(free - taken + 1, free + 1))
    return lost


def _largest_first(lost):
    return tuple(sorted(lost.items(), reverse=True))
