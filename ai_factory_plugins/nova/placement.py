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


"""What placement says is free."""

import collections
from urllib import parse

from keystoneauth1 import exceptions as ks_exc
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

# The newest that the query needs: required=, and the root of each provider.
MICROVERSION = '1.18'


class Unavailable(Exception):
    """Placement gave no answer that can be used."""


def free_providers(client, resource_class, traits=(), global_request_id=None):
    """The providers that have at least one of a resource class left.

    :param client: a nova SchedulerReportClient
    :param resource_class: name of the resource class
    :param traits: names of traits that a provider must have
    :param global_request_id: passed on for placement's log
    :returns: frozenset of provider uuids
    :raises Unavailable: placement cannot be reached, or refuses the query
    """
    return frozenset(
        provider['uuid'] for provider in _providers(
            client, resource_class, traits, global_request_id))


def free_by_host(client, resource_class, traits=()):
    """How many free devices of a resource class each host has.

    :param client: see :func:`free_providers`
    :param resource_class: name of the resource class; one device of it is one
        provider, named ``<host>_<address>``
    :param traits: names of traits that a provider must have
    :returns: dict of host name to number of devices
    :raises Unavailable: see :func:`free_providers`
    """
    return dict(collections.Counter(
        provider['name'].rpartition('_')[0]
        for provider in _providers(client, resource_class, traits)))


def _providers(client, resource_class, traits, global_request_id=None):
    query = [('resources', f'{resource_class}:1')]
    if traits:
        query.append(('required', ','.join(sorted(traits))))
    try:
        response = client.get(
            '/resource_providers?' + parse.urlencode(query),
            version=MICROVERSION, global_request_id=global_request_id)
    except ks_exc.ClientException as exc:
        raise Unavailable(str(exc)) from exc
    if response.status_code != 200:
        raise Unavailable(f'{response.status_code} {response.text:.200}')
    try:
        found = response.json()['resource_providers']
        for provider in found:
            provider['uuid'], provider['name']
    except (KeyError, TypeError, ValueError) as exc:
        raise Unavailable(f'not a list of providers: {exc!r}') from exc
    return found
