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


"""Which hosts are near each other, and where a job of several servers goes.

Hosts have a *path* in the fabric, coarsest name first: ``spine1/leaf3/rack7``
is the clique ``rack7`` below the leaf ``leaf3`` of the block ``spine1``. A
*block of a level* is all hosts whose paths begin alike up to that level. A
path may end early: a host without an NVLink clique has no block of that level.

The members of a job are to share a block of the level that was asked for. Of
the blocks that can take all members that are still to be placed, best first:

1. the one that holds members, and of several the one with most of them; once
   a member is placed, no other block will do;
2. the *fullest that fits*, which is the one with the least room, so that
   large blocks stay free;
3. the one in the fullest surroundings, from the next coarser level up.

Room is counted in members of the job, and is the caller's estimate.
"""

import collections
import dataclasses
import re

#: Key of an aggregate's metadata: the path of its hosts.
PATH = 'ai_factory:fabric_path'
#: Flavor extra spec: the level whose blocks keep members together.
LOCALITY = 'ai_factory:fabric_locality'
#: Flavor extra spec: what to do where no such block has room.
LOCALITY_POLICY = 'ai_factory:fabric_locality_policy'

POLICIES = ('required', 'preferred')
MAX_LEVELS = 8
NAME = re.compile(r'[A-Za-z0-9._-]{1,64}', re.ASCII)


class PathError(ValueError):
    """The path of a host cannot be used."""


class LocalityError(ValueError):
    """An extra spec, or the option behind it, has a value it cannot have."""


@dataclasses.dataclass(frozen=True)
class Locality:
    """What a flavor asks for.

    :param level: name of the level
    :param depth: how many names of a path make a block of it, at least 1
    :param required: no server rather than one outside of the block
    """

    level: str
    depth: int
    required: bool = True

    def __str__(self):
        return (f'{self.level} '
                f'({"required" if self.required else "preferred"})')


@dataclasses.dataclass(frozen=True)
class Host:
    """A host as far as a job is concerned.

    :param path: names from the coarsest level down; empty where not known
    :param room: how many further members fit, at least 0
    :param members: how many members are there already
    """

    path: tuple[str, ...]
    room: int
    members: int = 0


@dataclasses.dataclass(frozen=True)
class Block:
    """Hosts whose paths begin alike.

    :param path: what their paths begin with
    :param room: how many further members fit on all of them
    :param members: how many members are on them already
    """

    path: tuple[str, ...]
    room: int
    members: int

    def __str__(self):
        return '/'.join(self.path)


def check_levels(levels):
    """Check the names of the levels.

    :param levels: names, coarsest first
    :raises LocalityError: there are none or too many, one is malformed, or
        two are the same
    """
    if not 1 <= len(levels) <= MAX_LEVELS or len(set(levels)) != len(levels):
        raise LocalityError(
            f'fabric_levels names {len(levels)} levels ({len(set(levels))} '
            f'of them different) instead of 1 to {MAX_LEVELS} different ones')
    for level in levels:
        if not NAME.fullmatch(level):
            raise LocalityError(
                f'fabric_levels: {level!r:.80} is not a name of at most 64 '
                'letters, digits, ".", "_" and "-"')


def parse(extra_specs, levels):
    """Read what a flavor asks for.

    :param extra_specs: mapping of extra spec to text
    :param levels: names of the levels, coarsest first
    :returns: a :class:`Locality`, or None where the flavor asks for nothing
    :raises LocalityError: a value is not one of those documented, there is a
        policy without a level, or the levels themselves are wrong
    """
    level = extra_specs.get(LOCALITY)
    policy = extra_specs.get(LOCALITY_POLICY)
    if level is None and policy is None:
        return None
    check_levels(levels)
    if policy is not None and policy not in POLICIES:
        raise LocalityError(
            f'{LOCALITY_POLICY}={policy!r:.80} is not one of '
            f'{", ".join(POLICIES)}')
    if level is None:
        raise LocalityError(f'{LOCALITY_POLICY} is set without {LOCALITY}')
    if level not in levels:
        raise LocalityError(
            f'{LOCALITY}={level!r:.80} is not one of {", ".join(levels)}')
    return Locality(level, levels.index(level) + 1, policy != 'preferred')


def parse_path(text, levels):
    """Read the path of a host.

    :param text: names, coarsest first, with ``/`` between them
    :param levels: names of the levels, coarsest first
    :returns: tuple of at most as many names as there are levels
    :raises PathError: a name is empty, too long or has other characters than
        those allowed, or there are more names than levels
    """
    names = tuple(text.split('/'))
    for name in names:
        if not NAME.fullmatch(name):
            raise PathError(
                f'{PATH}={text!r:.200}: {name!r:.80} is not a name of at most '
                '64 letters, digits, ".", "_" and "-"')
    if len(names) > len(levels):
        raise PathError(
            f'{PATH}={text!r:.200} has {len(names)} names, but there are '
            f'{len(levels)} levels ({", ".join(levels)})')
    return names


def path_of(texts, levels):
    """The one path of a host that is in several aggregates.

    A leaf's aggregate may say ``spine1/leaf3`` and a clique's
    ``spine1/leaf3/rack7``: the longer one goes on where the other ends.

    :param texts: iterable of paths as text
    :param levels: names of the levels, coarsest first
    :returns: tuple of names, empty where there is no path
    :raises PathError: a path is malformed, or two contradict each other
    """
    paths = [parse_path(text, levels) for text in sorted(set(texts))]
    longest = max(paths, key=len, default=())
    for path in paths:
        if path != longest[:len(path)]:
            both = sorted('/'.join(item) for item in (path, longest))
            raise PathError(f'{PATH} is both {both[0]} and {both[1]}')
    return longest


def blocks(hosts, depth):
    """The blocks of a level.

    :param hosts: iterable of :class:`Host`
    :param depth: how many names make a block; 0 is the whole fabric
    :returns: dict of path to :class:`Block`
    """
    room, members = collections.Counter(), collections.Counter()
    for host in hosts:
        if len(host.path) >= depth:
            room[host.path[:depth]] += host.room
            members[host.path[:depth]] += host.members
    return {path: Block(path, room[path], members[path]) for path in room}


def candidates(hosts, need, depth):
    """The blocks that can take the members that are still to be placed.

    :param hosts: list of :class:`Host`: those on offer, and those that hold
        members
    :param need: how many members are to be placed, at least 1
    :param depth: how many names make a block
    :returns: list of :class:`Block`, best first; equals in the order of the
        hosts, which the caller may shuffle
    """
    placed = any(host.members for host in hosts)
    found = [block for block in blocks(hosts, depth).values()
             if block.room >= need and (block.members or not placed)]
    around = _surroundings(hosts, depth)
    return sorted(found, key=lambda block: (
        -block.members, block.room, around(block.path)))


def places(hosts, need, depth):
    """In which order to take hosts; equals have one place.

    The best blocks of the level asked for come first. Where none can take all
    members, the blocks of the next coarser level are looked at, and so on, to
    keep what has to be split near together. Within a block the same rules
    hold for the finer levels, so that a job that is content with one leaf
    still takes up no more cliques than it has to.

    :param hosts: see :func:`candidates`
    :param need: see :func:`candidates`
    :param depth: see :func:`candidates`
    :returns: list of int for each host, 0 being the best place
    """
    usable = set()
    while depth:
        usable = {block.path for block in candidates(hosts, need, depth)}
        if usable:
            break
        depth -= 1
    around = _surroundings(hosts, depth)
    finest = max((len(host.path) for host in hosts), default=0)
    known = [(level, blocks(hosts, level))
             for level in range(depth, max(depth, finest) + 1)]

    def key(host):
        block, *finer = (
            _preference(found[host.path[:level]], need)
            if len(host.path) >= level else _NO_BLOCK
            for level, found in known)
        top = host.path[:depth]
        return (top not in usable, block, around(top), *finer)

    keys = [key(host) for host in hosts]
    order = {found: place for place, found in enumerate(sorted(set(keys)))}
    return [order[found] for found in keys]


_NO_BLOCK = (1, 0, False, 0)


def _preference(block, need):
    """Sorts blocks: members, then the fullest that fits, then the largest."""
    fits = block.room >= need
    return (0, -block.members, not fits, block.room if fits else -block.room)


def _surroundings(hosts, depth):
    """Gives the room around a block, from the next coarser level up."""
    coarser = [(level, blocks(hosts, level))
               for level in range(depth - 1, 0, -1)]

    def room(path):
        return tuple(
            found[path[:level]].room if path[:level] in found else 0
            for level, found in coarser)
    return room
