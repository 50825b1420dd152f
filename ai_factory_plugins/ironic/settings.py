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

"""What ironic.conf says about the hook, checked when the conductor starts."""

import dataclasses

from oslo_config import cfg

from ai_factory_plugins.baremetal import shape
from ai_factory_plugins.conf import ironic as conf_ironic
from ai_factory_plugins.inventory import catalogue
from ai_factory_plugins.inventory import errors


class SettingsError(Exception):
    """An option is wrong; the message is one line and names it."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of ``[gpu_inventory]``, and the catalogue."""

    catalogue: catalogue.Catalogue
    trait_prefix: str
    trait_families: list
    strict: bool
    resource_class_template: str | None
    store_summary: bool
    check_health: bool
    degraded_trait: str | None
    read_redfish_processors: bool


def load(conf):
    """Read and check the options.

    :param conf: the configuration
    :returns: :class:`Settings`
    :raises SettingsError: an option is wrong
    """
    conf_ironic.register_opts(conf)
    group = conf_ironic.GROUP.name
    values = {}
    for opt in conf_ironic.OPTS:
        try:
            values[opt.name] = getattr(conf[group], opt.name)
        except (ValueError, cfg.Error) as exc:
            raise _error(opt.name, exc) from exc
    try:
        known = catalogue.load(values.pop('catalogue_file'))
    except errors.InventoryError as exc:
        raise _error('catalogue_file', exc) from exc
    template = values['resource_class_template'] or None
    if template is not None:
        try:
            shape.check_template(template)
        except ValueError as exc:
            raise _error('resource_class_template', exc) from exc
    values['resource_class_template'] = template
    return Settings(catalogue=known, **values)


def _error(name, exc):
    text = ' '.join(str(exc).split())
    return SettingsError(f'[{conf_ironic.GROUP.name}]{name}: {text}')
