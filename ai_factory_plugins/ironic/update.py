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

"""What becomes of a node whose GPUs are known.

Traits are changed one by one, through objects of their own: to set
``node.traits`` and save the node fails, and to refresh the node loses what
other hooks have set.
"""

from ironic.common import exception
from ironic.conf import CONF
from ironic import objects
from oslo_log import log

from ai_factory_plugins.baremetal import health
from ai_factory_plugins.baremetal import ownership
from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.baremetal import vocabulary

LOG = log.getLogger(__name__)
#: Key of a node's driver_internal_info: a dict with the names of the
#: ``traits`` that are ours, ``count``, and the ``record`` of its health.
KEY = 'gpu_inventory'
#: Siblings of a node that are looked at.
MAX_SIBLINGS = 100


class Update:
    """Brings a node up to date with its GPUs.

    :param task: Ironic's task, which holds the node
    :param settings: :class:`~ai_factory_plugins.ironic.settings.Settings`
    :param machine: a :class:`~ai_factory_plugins.baremetal.machine.Machine`
    :param properties: a dict of properties that has to hear of changes too,
        or None
    """

    def __init__(self, task, settings, machine, properties=None):
        self.context = task.context
        self.node = task.node
        self.settings = settings
        self.machine = machine
        self.properties = properties
        kept = self.node.driver_internal_info.get(KEY)
        self.kept = kept if isinstance(kept, dict) else {}

    def apply(self):
        """Do it all, and save the node."""
        last = health.Record.from_dict(self.kept.get('record'))
        problems = self._problems(last)
        wanted = vocabulary.traits(
            self.machine, self.settings.trait_prefix,
            self.settings.trait_families)
        if problems and self.settings.degraded_trait:
            wanted.insert(0, self.settings.degraded_trait)
        self._set_summary(problems)
        if not problems:
            self._set_resource_class()
        self._set_traits(wanted, health.record(self.machine, last))
        LOG.info('Node %(node)s has %(summary)s, told by %(source)s',
                 {'node': self.node.uuid, 'summary': self.machine.summary(),
                  'source': self.machine.source})

    def _problems(self, last):
        if not self.settings.check_health:
            return []
        found = health.problems(
            self.machine, last, self._siblings(), self._declared())
        if found:
            LOG.warning(
                'The GPUs of node %(node)s are not well: %(problems)s',
                {'node': self.node.uuid, 'problems': '; '.join(found)})
        return found

    def _declared(self):
        value = self.node.properties.get('gpu_expected')
        if value is None:
            return None
        text = str(value)
        if text.isascii() and text.isdecimal() and len(text) < 4:
            return int(text)
        LOG.warning('The property gpu_expected of node %(node)s, %(value).40r,'
                    ' is no number and is not used',
                    {'node': self.node.uuid, 'value': value})
        return None

    def _siblings(self):
        """How many GPUs the other nodes of the resource class had."""
        if self._has_no_class():
            return []
        nodes = objects.Node.list(
            self.context, limit=MAX_SIBLINGS,
            filters={'resource_class': self.node.resource_class},
            fields=['uuid', 'driver_internal_info'])
        kept = [node.driver_internal_info.get(KEY) for node in nodes
                if node.uuid != self.node.uuid]
        return [item['count'] for item in kept
                if isinstance(item, dict) and type(item.get('count')) is int]

    def _has_no_class(self):
        return self.node.resource_class in (
            None, '', CONF.default_resource_class)

    def _set_resource_class(self):
        template = self.settings.resource_class_template
        if template is None or not self._has_no_class():
            return
        name = shape.resource_class(template, self.machine)
        if name is not None:
            LOG.info('Node %(node)s gets the resource class %(name)s',
                     {'node': self.node.uuid, 'name': name})
            self.node.resource_class = name

    def _set_summary(self, problems):
        if not self.settings.store_summary:
            return
        found = {'gpu_summary': self.machine.summary()}
        if self.settings.check_health:
            found['gpu_health'] = '; '.join(problems)[:1000] or 'ok'
        for name, value in found.items():
            self.node.set_property(name, value)
            if self.properties is not None:
                self.properties[name] = value

    def _set_traits(self, wanted, record):
        """Change the traits; what is ours is on record at each moment."""
        owned = self.kept.get('traits')
        owned = owned if isinstance(owned, list) else []
        present = objects.TraitList.get_by_node_id(
            self.context, self.node.id).get_trait_names()
        change = ownership.change(present, owned, wanted)
        if change.dropped:
            LOG.warning(
                'Node %(node)s has no room for the traits %(names)s: Ironic '
                'takes %(most)s for a node',
                {'node': self.node.uuid, 'names': ', '.join(change.dropped),
                 'most': vocabulary.MAX_TRAITS})
        if change.remove or change.add:
            self._keep(change.remove + change.owned, record)
        for name in change.remove:
            try:
                objects.Trait.destroy(self.context, self.node.id, name)
            except exception.NodeTraitNotFound:
                LOG.debug('Trait %s was gone already', name)
        for name in change.add:
            objects.Trait(
                self.context, node_id=self.node.id, trait=name).create()
        self._keep(change.owned, record)

    def _keep(self, traits, record):
        self.node.set_driver_internal_info(KEY, {
            'traits': sorted(traits), 'count': len(self.machine.gpus),
            'record': record.to_dict()})
        self.node.save()
