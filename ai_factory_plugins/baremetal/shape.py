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

"""Machines of the same shape: their resource class and their flavor."""

import collections
import dataclasses
import re
import string

FIELDS = ('vendor', 'model', 'count', 'memory')
#: Ironic's limit for a resource class.
MAX_LENGTH = 80
_CLASS = re.compile('[A-Za-z0-9_]+')


def check_template(template):
    """Check a template for resource classes.

    :param template: text with some of ``{vendor}``, ``{model}``, ``{count}``
        and ``{memory}``
    :raises ValueError: it is none; the message says why
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as exc:
        raise ValueError(f'{template!r} is not a template: {exc}') from exc
    for text, field, spec, conversion in parts:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise ValueError(
                f'{template!r}: {{{field}}} is not one of '
                + ', '.join(f'{{{name}}}' for name in FIELDS))
        if text and not _CLASS.fullmatch(text):
            raise ValueError(
                f'{template!r}: {text!r} has other characters than letters, '
                'digits and _')


def resource_class(template, machine):
    """The resource class of a machine.

    :param template: see :func:`check_template`
    :param machine: a :class:`~ai_factory_plugins.baremetal.machine.Machine`
    :returns: the name; None for a machine without GPUs or with several
        models, of which one name would not be true, and where a field of the
        template is not known
    """
    if not machine.gpus or machine.mixed:
        return None
    gpu = machine.gpus[0]
    values = {'vendor': gpu.vendor, 'model': gpu.model,
              'count': len(machine.gpus), 'memory': machine.memory_gib}
    used = {field for _, field, _, _ in string.Formatter().parse(template)
            if field}
    if any(values[field] is None for field in used):
        return None
    name = template.format(**values)
    return name if len(name) <= MAX_LENGTH else None


@dataclasses.dataclass(frozen=True)
class Flavor:
    """A flavor for whole machines.

    :param name: for example ``bm.gpu.h100-sxm5-80gb.x8``
    :param vcpus: CPUs of the smallest of the machines, for people to see
    :param ram_mb: memory of the smallest of the machines in MiB, likewise
    :param disk_gb: disk of the smallest of the machines in GiB, likewise
    :param extra_specs: dict of names to values
    """

    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int
    extra_specs: dict

    @property
    def traits(self):
        """Names of the traits that it requires or forbids.

        Placement has to know them, also one that no machine has: Nova finds
        no host for a flavor with a trait that is not known.
        """
        return sorted(name.removeprefix('trait:') for name in self.extra_specs
                      if name.startswith('trait:'))


def flavors(nodes, prefix='CUSTOM_GPU', degraded='CUSTOM_GPU_DEGRADED'):
    """One flavor for each shape of machine, made of what was inspected.

    :param nodes: list of dicts with ``resource_class``, ``traits`` and
        ``properties``, as Ironic's API shows nodes
    :param prefix: the prefix of the traits
    :param degraded: the trait of machines that are broken, which the flavors
        forbid, or None
    :returns: list of :class:`Flavor`, by name. Nodes without resource class
        or GPUs have none, and a broken one is of no shape to ask for
    """
    found = {}
    for node in nodes:
        key = _shape(node, prefix)
        if key is not None and degraded not in node['traits']:
            found.setdefault(key, []).append(node.get('properties') or {})
    made = [_flavor(key, machines, prefix, degraded)
            for key, machines in found.items()]
    taken = collections.Counter(flavor.name for flavor in made)
    return sorted(
        (_told_apart(flavor, key[0]) if taken[flavor.name] > 1 else flavor
         for key, flavor in zip(found, made)),
        key=lambda flavor: flavor.name)


def _told_apart(flavor, class_name):
    label = class_name.removeprefix('CUSTOM_').lower().replace('_', '-')
    return dataclasses.replace(flavor, name=f'{flavor.name}.{label}')


def custom_class(name):
    """A node's resource class as Nova calls it in placement."""
    return 'CUSTOM_' + re.sub('[^A-Z0-9_]', '_', name.upper())


def _shape(node, prefix):
    """Resource class, models and number of GPUs."""
    names = node.get('traits') or []
    models = tuple(sorted(
        name for name in names if name.startswith(f'{prefix}_MODEL_')))
    models = models or tuple(sorted(
        name for name in names if name.startswith(f'{prefix}_PCI_')))
    counts = [name for name in names
              if re.fullmatch(f'{prefix}_COUNT_[0-9]+', name)]
    if not node.get('resource_class') or not models or len(counts) != 1:
        return None
    return custom_class(node['resource_class']), models, counts[0]


def _flavor(key, machines, prefix, degraded):
    class_name, models, count = key
    specs = {f'resources:{class_name}': '1', 'resources:VCPU': '0',
             'resources:MEMORY_MB': '0', 'resources:DISK_GB': '0'}
    for name in (*models, count):
        specs[f'trait:{name}'] = 'required'
    if degraded:
        specs[f'trait:{degraded}'] = 'forbidden'
    label = '-'.join(
        re.sub(f'^{prefix}_(MODEL|PCI)_', '', name) for name in models)
    label = label.lower().replace('_', '-')
    return Flavor(
        f'bm.gpu.{label}.x{count.rpartition("_")[2]}',
        *(_smallest(machines, field)
          for field in ('cpus', 'memory_mb', 'local_gb')), specs)


def _smallest(machines, field):
    """The least that the machines have; 1 where none tells, as Nova wants."""
    values = [int(machine[field]) for machine in machines
              if str(machine.get(field)).isdecimal() and int(machine[field])]
    return min(values, default=1)
