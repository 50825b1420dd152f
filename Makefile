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

TOX = .venv/bin/tox

.PHONY: help demo check clean

help:
	@echo 'make demo   start a real OpenStack here and show what the plugins do'
	@echo 'make check  run all tests'
	@echo 'make clean  stop the cloud, delete what these have made here'

demo: bootstrap
	$(TOX) run -q -e demo

check: bootstrap
	$(TOX) run -e pep8,dist,docs,releasenotes,tempest,all

clean:
	if [ -x .tox/cloud/bin/python ]; then .tox/cloud/bin/python -m cloud down --delete; fi
	rm -rf .venv .tox .stestr .cloud .hypothesis doc/build releasenotes/build cover

.PHONY: bootstrap
bootstrap:
	@tools/bootstrap
