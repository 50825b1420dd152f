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

"""The inspection hook ``gpu-inventory``."""

import weakref

from ironic.common import exception
from ironic.common.i18n import _
from ironic.conf import CONF
from ironic.drivers.modules.inspector.hooks import base
from oslo_log import log

from ai_factory_plugins.baremetal import fields
from ai_factory_plugins.baremetal import sources
from ai_factory_plugins.ironic import redfish
from ai_factory_plugins.ironic import settings as hook_settings
from ai_factory_plugins.ironic import update

LOG = log.getLogger(__name__)


class GPUInventoryHook(base.InspectionHook):
    """Tells in traits of a node what GPUs it has.

    What it cannot understand it logs, and leaves the node as it is; unless
    ``[gpu_inventory]strict`` is set, it never fails an inspection.
    """

    def __init__(self):
        wrong = None
        try:
            self._settings = hook_settings.load(CONF)
        except hook_settings.SettingsError as exc:
            wrong = str(exc)
        if wrong is not None:
            # Not while the exception is handled: oslo.log would repeat it.
            LOG.critical('The inspection hook gpu-inventory cannot run: %s',
                         wrong)
            raise exception.InvalidParameterValue(wrong)
        self._properties = weakref.WeakKeyDictionary()

    def preprocess(self, task, inventory, plugin_data):
        """Remember the dict of properties that the inspection began with.

        Inspection by Redfish puts it back at its end, and with it loses what
        hooks have set since one of them saved the node.
        """
        self._properties[task] = task.node.properties

    def __call__(self, task, inventory, plugin_data):
        """Bring the node's traits up to date.

        :raises HardwareInspectionFailure: in strict mode, if the data cannot
            be understood
        """
        try:
            self._inspect(task, inventory, plugin_data)
        except Exception as exc:
            if self._settings.strict:
                raise exception.HardwareInspectionFailure(
                    error=_('gpu-inventory: %s') % exc) from exc
            LOG.exception('gpu-inventory failed for node %s, whose inspection '
                          'goes on without it', task.node.uuid)
        finally:
            self._properties.pop(task, None)

    def _inspect(self, task, inventory, plugin_data):
        machine, complaints = sources.read(
            self._settings.catalogue, inventory, plugin_data)
        for complaint in complaints:
            self._complain(task, complaint)
        if (self._settings.read_redfish_processors
                and redfish.is_redfish(task)
                and sources.needs_processors(machine)):
            machine = self._with_processors(task, machine)
        if machine is None:
            LOG.info('Inspection of node %s tells nothing of PCI devices: '
                     'its GPU traits stay as they are', task.node.uuid)
            return
        update.Update(task, self._settings, machine,
                      self._properties.get(task)).apply()

    def _with_processors(self, task, machine):
        try:
            return sources.with_processors(
                self._settings.catalogue, machine,
                redfish.gpu_processors(task.node))
        except Exception as exc:
            # sushy lets through what its parser raises.
            self._complain(task, f'redfish-processors: {exc!s:.500}')
        # A list without GPUs proves nothing if they may be elsewhere.
        return machine if machine is not None and machine.gpus else None

    def _complain(self, task, text):
        if self._settings.strict:
            raise fields.MalformedError(text)
        LOG.warning('Inspection data of node %(node)s is not used: %(text)s',
                    {'node': task.node.uuid, 'text': text})
