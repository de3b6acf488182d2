"""tensorboard_peer.py RUN: TensorBoard's own reader finds in the run's event
file every number of log.jsonl (but lists) once, at the epoch as its step, and
the sheets of samples/ byte for byte."""

import json
import math
import pathlib
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator


def numbers(value, tag):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{tag}/{key}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield tag, struct.unpack("f", struct.pack("f", value))[0]


def main():
    run = pathlib.Path(sys.argv[1])
    expected, sheets, times = {}, {}, {}
    for line in (run / "log.jsonl").read_text().splitlines():
        line = json.loads(line)
        epoch = line.pop("epoch")
        times[epoch] = line.get("wall_s", 0)
        for key, value in line.items():
            tag = key if isinstance(value, dict) else f"train/{key}"
            for name, number in numbers(value, tag):
                expected.setdefault(name, []).append((epoch, number))
        sheet = run / "samples" / f"epoch-{epoch:06d}.png"
        if "eval" in line and sheet.exists():
            sheets[epoch] = sheet.read_bytes()

    files = [path.name for path in run.glob("*tfevents*")]
    assert files == ["events.out.tfevents.rsm"], files
    reader = event_accumulator.EventAccumulator(
        str(run), size_guidance={"scalars": 0, "images": 0})
    reader.Reload()
    tags = reader.Tags()
    assert sorted(tags["scalars"]) == sorted(expected), (
        set(tags["scalars"]) ^ set(expected))
    for name, values in expected.items():
        found = reader.Scalars(name)
        assert [(event.step, event.value) for event in found] == values, name
        for event in found:
            assert math.isclose(event.wall_time, times[event.step]), name
    assert tags["images"] == (["samples"] if sheets else []), tags["images"]
    if sheets:
        found = reader.Images("samples")
        assert {event.step: event.encoded_image_string
                for event in found} == sheets
        assert len(found) == len(sheets)
        for event in found:
            size = struct.unpack(">II", sheets[event.step][16:24])
            assert (event.width, event.height) == size


if __name__ == "__main__":
    main()
