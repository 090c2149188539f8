"""The oracle's view of an input whose partitions have become more: what comes before is folded with the former
number, then every state is carried over, and the rest is folded with the new one."""

import math

import compare
from identity import partition_of, record_key
from kafka_pipeline import Pipeline, merged
from semantics import Fold


def carry_over(fold, partitions, starts):
    """A fold goes on with so many partitions, from these input offsets."""
    former, fold.partitions = fold.partitions, partitions
    for address, state in list(fold.states.items()):
        key = record_key(*address)
        home = partition_of(key, partitions)
        if home != partition_of(key, former):
            fold.states[address] = {**state, "source_offset": starts[home] - 1}
    # Offsets of before are those of another partition.
    fold.history = {address + (state["source_offset"],): state for address, state in fold.states.items()}
    common = math.gcd(former, partitions)
    fold.stream_times = {
        q: max(times)
        for q in range(partitions)
        for times in [[t for p, t in fold.stream_times.items() if p % common == q % common]] if times}


class Resharded(compare.Comparison):
    """`starts`: {new partition: input offset from which it is read with the new number of partitions}; those that
    were there before have been read up to it with `former`."""

    def __init__(self, inputs, topics, partitions, *arguments, former=0, starts=None, **options):
        super().__init__([], topics, partitions, *arguments, **options)
        self.inputs = sorted(inputs, key=lambda record: (record.partition, record.offset))
        self.former, self.starts = former, starts
        fold = Fold(former, self.config, self.codec.decode, history=True, classifier=self.fold.classifier)
        for record in self.inputs:
            if record.offset < starts[record.partition]:
                fold.feed(record)
        carry_over(fold, partitions, starts)
        for record in self.inputs:
            if record.offset >= starts[record.partition]:
                fold.feed(record)
        self.fold = fold

    def since(self, actual):
        """The outputs of what was read with the new number: only they can be held against the new topic's states."""
        return [output for output in actual if output["source_offset"] >= self.starts[output["source_partition"]]]

    def check_suppressed(self, actual):
        super().check_suppressed(self.since(actual))

    def check_repetition(self, actual):
        super().check_repetition(self.since(actual))

    def check_place(self, topic, record, fields):
        """The recipients have moved, the other topics have not."""
        now = self.partitions
        self.partitions = now if topic == "recipients" else self.former
        super().check_place(topic, record, fields)
        self.partitions = now


class ReshardedPipeline(Pipeline):
    """A pipeline on which `rimbalzo reshard` may be run."""

    def __init__(self, scenario, app, partitions, **options):
        super().__init__(scenario, app, partitions, **options)
        self.former = partitions
        self.starts = None

    def reshard(self, worker, partitions, *arguments, **options):
        return self.scenario.run("reshard", "--partitions", partitions, *arguments, config=worker, **options)

    def move_to(self, topic, partitions):
        """From here on all is about the new topic; the certificates say where the input goes on."""
        self.changelog = self.prefix + topic
        self.config = merged(self.config, {"topics": {"recipients": self.changelog}})
        self.partitions = partitions
        self.starts = {p: int(text.split()[1].removeprefix("i=")) for p, (_, text) in self.certificates().items()}
        assert len(self.starts) == partitions, self.starts

    def read(self):
        topics = super().read()
        if self.starts is not None:
            topics["recipients"] = self.dump([self.changelog])[self.changelog]
        return topics

    def comparison(self, *arguments, **options):
        if self.starts is None:
            return super().comparison(*arguments, **options)
        return Resharded(*arguments, former=self.former, starts=self.starts, **options)
