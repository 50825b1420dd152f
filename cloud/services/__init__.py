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


"""The OpenStack services, a module each.

A module has

* ``ENDPOINT``: (name, type, path) for keystone's catalogue, or None;
* ``PACKAGES``: the packages whose versions decide what is in its databases;
* ``configure(cloud)``: writes the configuration files;
* ``schema(cloud)``: commands that make the databases, as a dict of name to
  (arguments, environment); they run once, and their result is kept;
* ``services(cloud)``: the processes, as
  :class:`~cloud.service.Service` objects.

To add a service, write such a module, name it in :data:`MODULES`, and give
its ports names in :data:`cloud.layout.PORTS`.
"""

from cloud.services import glance
from cloud.services import ironic
from cloud.services import keystone
from cloud.services import neutron
from cloud.services import nova
from cloud.services import object_store
from cloud.services import placement
from cloud.services import redfish

MODULES = (keystone, placement, glance, neutron, redfish, ironic, nova,
           object_store)
