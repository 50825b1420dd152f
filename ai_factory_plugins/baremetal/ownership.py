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

"""Which traits of a node are ours, and what to do with them.

A node's traits belong to its operator. Ours are only those that we added;
they are written down, and no other is ever taken away, whatever its name.
"""

import dataclasses

from ai_factory_plugins.baremetal import vocabulary


@dataclasses.dataclass(frozen=True)
class Change:
    """How to get from the traits that a node has to those that it should.

    :param remove: sorted list of names to take away
    :param add: list of names to add, most important first
    :param owned: sorted list of names that are ours afterwards
    :param dropped: list of names that there is no room for
    """

    remove: list
    add: list
    owned: list
    dropped: list


def change(present, owned, wanted, limit=vocabulary.MAX_TRAITS):
    """What to do with a node's traits.

    :param present: names of the traits that the node has
    :param owned: names that were written down as ours; what stands there
        and is not of the form of a trait, is passed over
    :param wanted: names that the node should have, most important first
    :param limit: how many traits a node can have
    :returns: a :class:`Change`
    """
    present = set(present)
    ours = {name for name in owned if isinstance(name, str)} & present
    foreign = present - ours
    room = max(0, limit - len(foreign))
    fitting = [name for name in wanted if name not in foreign]
    kept, dropped = fitting[:room], fitting[room:]
    return Change(
        remove=sorted(ours.difference(kept)),
        add=[name for name in kept if name not in present],
        owned=sorted(kept), dropped=dropped)
