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


"""Why a flavor finds a host, or does not.

The code that answers is the scheduler's own, with the same configuration and
the same data, up to the point where it would claim anything.
"""

import collections
import dataclasses

import nova.conf
from nova import exception
from nova import objects
from nova.pci import request as pci_request
from nova.scheduler.client import report
from nova.scheduler import host_manager
from nova.scheduler import manager
from nova.virt import hardware
import oslo_messaging
from oslo_utils import uuidutils

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import hosts
from ai_factory_plugins.nova import placement
from ai_factory_plugins.nova import request
from ai_factory_plugins.nova import run
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection

CONF = nova.conf.CONF


@dataclasses.dataclass(frozen=True)
class Stage:
    """One filter, and what it left.

    :param name: name of the filter
    :param before: number of hosts that it was given
    :param after: number of hosts that it left
    :param reasons: dict of text to names of hosts, where the filter tells
    """

    name: str
    before: int
    after: int
    reasons: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Explanation:
    """What became of a request.

    :param flavor: name of the flavor
    :param asked: what it asks of its GPUs, as text
    :param problem: why it was not looked for a host at all, or None
    :param free: dict of resource class to dict of host to number of free
        devices, according to placement
    :param offered: number of hosts with allocation candidates
    :param stages: list of :class:`Stage`
    :param sets: dict of host to dict of size to number of wholly free
        partitions, for the hosts that placement offered
    :param found: names of the hosts that are left
    """

    flavor: str
    asked: str
    problem: str | None = None
    free: dict = dataclasses.field(default_factory=dict)
    offered: int = 0
    stages: list = dataclasses.field(default_factory=list)
    sets: dict = dataclasses.field(default_factory=dict)
    found: list = dataclasses.field(default_factory=list)


def spec_of(context, flavor, project_id, host=None):
    """The RequestSpec of a server with a flavor, as nova-api makes it.

    :param context: a nova RequestContext
    :param flavor: a nova Flavor
    :param project_id: whose server it would be
    :param host: name of a host that is asked for, or None
    :returns: a nova RequestSpec
    :raises nova.exception.NovaException: the flavor names an alias that is not
        configured, or has other extra specs that Nova refuses
    """
    image = objects.ImageMeta.from_dict({})
    uuid = uuidutils.generate_uuid()
    spec = objects.RequestSpec.from_components(
        context, uuid, image, flavor,
        hardware.numa_get_constraints(flavor, image),
        pci_request.get_pci_requests_from_flavor(flavor),
        {}, None, None, project_id=project_id)
    if host is not None:
        spec.requested_destination = objects.Destination(host=host)
    return spec


class Explainer(manager.SchedulerManager):
    """The scheduler, but that it does not select.

    :param context: a nova RequestContext
    :param flavor: a nova Flavor
    """

    def __init__(self, context, flavor):
        # Not the manager's: nothing is to be heard of this one.
        CONF.set_override(
            'track_instance_changes', False, 'filter_scheduler')
        self.host_manager = host_manager.HostManager()
        self.context = context
        self.explanation = Explanation(
            flavor.name, flavor.extra_specs.get('pci_passthrough:alias', ''))
        self.flavor = flavor

    def explain(self, host=None):
        """Do what the scheduler does for one server.

        :param host: name of a host that is asked for, or None
        :returns: an :class:`Explanation`
        """
        found = self.explanation
        try:
            spec = spec_of(self.context, self.flavor,
                           self.context.project_id, host)
            asked = request.policy_of(spec)
            if asked is not None:
                found.asked = ', '.join(filter(None, [
                    found.asked, str(asked)]))
            found.free = self._free(request.device_requests(spec))
            self.select_destinations(
                self.context, spec_obj=spec,
                instance_uuids=[spec.instance_uuid], return_objects=True)
        except oslo_messaging.ExpectedException as exc:
            if not found.stages:
                found.problem = str(exc.exc_info[1])
        except (exception.NovaException, policy.PolicyError,
                request.NotInPlacement, placement.Unavailable) as exc:
            found.problem = str(exc)
        return found

    def _free(self, requests):
        client = report.report_client_singleton()
        found = {}
        for item in requests:
            found[item.resource_class] = placement.free_by_host(
                client, item.resource_class, item.traits)
        return found

    def _select_destinations(self, context, spec_obj, instance_uuids,
                             alloc_reqs_by_rp_uuid, provider_summaries,
                             *args, **kwargs):
        left = []
        for host in self._get_all_host_states(
                context, spec_obj, provider_summaries):
            host.allocation_candidates = alloc_reqs_by_rp_uuid[host.uuid]
            left.append(host)
        destination = spec_obj.requested_destination
        if destination is not None and 'host' in destination:
            left = [host for host in left if host.host == destination.host]
        self.explanation.offered = len(left)
        self.explanation.sets = _sets(left, spec_obj)
        for item in self.host_manager.enabled_filters:
            if not left:
                break
            before, reasons = len(left), {}
            if isinstance(item, filters.GPUTopologyFilter):
                left, reasons = _joined(left, spec_obj)
            else:
                left = list(item.filter_all(left, spec_obj))
            self.explanation.stages.append(Stage(
                type(item).__name__, before, len(left), reasons))
        self.explanation.found = sorted({host.host for host in left})
        return []


def _joined(host_states, spec_obj):
    """What GPUTopologyFilter does, with an account of every host."""
    found = run.prepare(spec_obj, host_states)
    if found is None:
        return host_states, {}
    passed = found.filter(host_states)
    return passed, {outcome.value: sorted(names)
                    for outcome, names in found.outcomes.items()}


def _sets(host_states, spec_obj):
    """How many partitions of each size are wholly free on each host."""
    requests = hosts.gpu_requests(
        host_states, request.device_requests(spec_obj))
    found = {}
    for host_state in host_states:
        sizes = collections.Counter()
        for item in requests:
            try:
                sizes.update(selection.FreePool(
                    device for device, _ in hosts.free_devices(
                        host_state, item)).partition_sizes())
            except (hosts.NoTopology, selection.InconsistentTopology):
                continue
        found[host_state.host] = dict(sizes)
    return found
