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


"""Allocation candidates that name other devices.

An allocation candidate is what placement offers and what the scheduler later
claims: ``{'allocations': {provider: {'resources': {class: amount}}},
'mappings': {requester id: [provider]}}``. All candidates of a host differ in
nothing but which of its devices serve which request group, so any of them
serves as the template of those that placement did not offer.
"""


def devices(candidate, groups):
    """The providers that serve the given request groups.

    :param candidate: an allocation candidate
    :param groups: requester ids
    :returns: list of provider uuids, or None where the candidate does not
        serve one of the groups from exactly one provider
    """
    found = []
    for group in groups:
        providers = candidate['mappings'].get(group, ())
        if len(providers) != 1:
            return None
        found.append(providers[0])
    return found


def substitute(template, resource_class, replacements):
    """A candidate that serves request groups from other providers.

    :param template: an allocation candidate; it is not changed
    :param resource_class: what each of the groups takes one of
    :param replacements: dict of requester id to provider uuid
    :returns: an allocation candidate
    """
    candidate = _copy(template)
    allocations = candidate['allocations']
    for group in replacements:
        _add(allocations, candidate['mappings'][group][0], resource_class, -1)
    for group, provider in replacements.items():
        _add(allocations, provider, resource_class, 1)
        candidate['mappings'][group] = [provider]
    return candidate


def _copy(candidate):
    """A copy that shares nothing that :func:`substitute` changes."""
    return {
        **candidate,
        'allocations': {
            provider: {**allocation,
                       'resources': dict(allocation['resources'])}
            for provider, allocation in candidate['allocations'].items()},
        'mappings': {group: list(providers) for group, providers
                     in candidate['mappings'].items()}}


def _add(allocations, provider, resource_class, amount):
    resources = allocations.setdefault(
        provider, {'resources': {}})['resources']
    left = resources.pop(resource_class, 0) + amount
    if left:
        resources[resource_class] = left
    if not resources:
        del allocations[provider]
