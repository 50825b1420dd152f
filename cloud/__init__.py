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


"""A real OpenStack, started straight from packages.

MariaDB, RabbitMQ and memcached of the distribution, and the OpenStack
services as they come from PyPI, run as plain processes of one user, with all
their state in one directory and all their ports on loopback. The only thing
that is not real is the hardware: the computes' virt driver reports the PCI
devices of boards that are not there.

It is a workbench: fixed passwords, no TLS, not for anything but trying and
testing.
"""
