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

"""Third act: a data set in Swift, read as training reads it."""

import hashlib
import random
import time

from rich import progress
from rich import table as rich_table

from cloud.services import object_store
from cloud import training

SAMPLES = 2000
BATCH = 256
EPOCHS = 2


class Act:
    """What is done, and what is told of it.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    :param console: where to tell it
    """

    right = 'Every sample was read as it was written, in each way.'
    wrong = 'Some sample was not read as it was written.'

    def __init__(self, cloud, console):
        self.cloud = cloud
        self.console = console

    def tell(self):
        """Run it all.

        :returns: whether all bytes were right
        """
        self.console.rule('[bold]A data set in Swift')
        samples, digests = training.make(self.cloud, SAMPLES)
        size = sum(length for sample in samples
                   for _, length in sample.fields.values())
        self.console.print(
            f'{len(samples)} Python modules, {size / 2 ** 20:.0f} MiB, in '
            f'{len({sample.shard for sample in samples})} tar archives of '
            f'container {training.CONTAINER}; each epoch reads all of them '
            f'in another order, {BATCH} at a time.\n')
        ways = {
            f'stock S3, {training.CLIENTS} clients': training.S3Reader(
                self.cloud, samples, object_store.STOCK),
            f'cached S3, {training.CLIENTS} clients': training.S3Reader(
                self.cloud, samples, object_store.PROXY),
            'batches': training.batch_reader(self.cloud, samples)}
        table = rich_table.Table(
            'way', *(f'epoch {n}, samples/s' for n in range(1, EPOCHS + 1)),
            'ratio', 'wrong', title='Swift', title_justify='left')
        right, first = True, None
        for name, reader in ways.items():
            speeds, wrong = self.epochs(name, reader, len(samples), digests)
            first = first or speeds[-1]
            right &= not wrong
            table.add_row(
                name, *(f'{speed:.0f}' for speed in speeds),
                f'{speeds[-1] / first:.1f}', str(wrong),
                style='red' if wrong else 'green')
        self.console.print(table)
        return right

    def epochs(self, name, reader, count, digests):
        """Read all samples, several times.

        :returns: list of samples a second, and how many were wrong
        """
        speeds, wrong = [], 0
        bar = progress.Progress(
            '{task.description}', progress.BarColumn(),
            progress.MofNCompleteColumn(), '{task.fields[speed]}',
            console=self.console)
        with bar:
            for epoch in range(1, EPOCHS + 1):
                task = bar.add_task(
                    f'{name}, epoch {epoch}', total=count, speed='')
                order = random.Random(epoch).sample(range(count), count)
                seconds = 0
                for start in range(0, count, BATCH):
                    indices = order[start:start + BATCH]
                    began = time.monotonic()
                    found = reader.__getitems__(indices)
                    seconds += time.monotonic() - began
                    wrong += sum(
                        hashlib.sha256(data).hexdigest() != digests[key]
                        for key, data in found) + len(indices) - len(found)
                    done = start + len(indices)
                    bar.update(task, completed=done,
                               speed=f'{done / seconds:.0f} samples/s')
                speeds.append(count / seconds)
        return speeds, wrong
